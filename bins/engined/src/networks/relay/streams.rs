//! Connections, one to one.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

/// Without descriptors nothing can be accepted: later, perhaps.
const PAUSE: Duration = Duration::from_millis(50);

/// Carries every connection to `to`, until the listener is shut down.
pub async fn carry(listener: TcpListener, to: SocketAddr) {
    let mut under_way = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((client, _)) => drop(under_way.spawn(connection(client, to))),
                // The port was given back.
                Err(error) if error.kind() == io::ErrorKind::InvalidInput => return,
                Err(_) => tokio::time::sleep(PAUSE).await,
            },
            Some(_) = under_way.join_next() => {}
        }
    }
}

async fn connection(mut client: TcpStream, to: SocketAddr) {
    let Ok(mut server) = TcpStream::connect(to).await else {
        // As a closed port would: at once, and no end of a file.
        let _ = client.set_zero_linger();
        return;
    };
    let _ = (client.set_nodelay(true), server.set_nodelay(true));
    // Either side may end before the other; who breaks off breaks the other off.
    let _ = tokio::io::copy_bidirectional(&mut client, &mut server).await;
}
