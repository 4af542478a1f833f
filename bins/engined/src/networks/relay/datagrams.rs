//! Datagrams: each client has a socket towards the container, until it has been silent for long.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::net::UdpSocket;
use tokio::task::JoinSet;

/// As long as the kernel remembers such a flow of two directions, and a little less.
const IDLE: Duration = Duration::from_secs(90);
/// More clients at once are not served: each takes a descriptor.
const CLIENTS: usize = 1024;
const LONGEST_BYTES: usize = 65_535;

type Flows = Arc<Mutex<HashMap<SocketAddr, Arc<UdpSocket>>>>;

/// Carries every client's datagrams to `to` and the answers back.
pub async fn carry(socket: Arc<UdpSocket>, to: SocketAddr) {
    let flows = Flows::default();
    let mut answering = JoinSet::new();
    let mut buffer = vec![0; LONGEST_BYTES];
    loop {
        tokio::select! {
            received = socket.recv_from(&mut buffer) => {
                // An answer found nobody: that is told here.
                let Ok((length, client)) = received else { continue };
                let known = flows.lock().expect("no panic while held").get(&client).cloned();
                let flow = match known {
                    Some(flow) => flow,
                    None => {
                        let Some(flow) = open(&flows, client, to).await else { continue };
                        answering.spawn(answers(socket.clone(), flow.clone(), client, flows.clone()));
                        flow
                    }
                };
                let _ = flow.send(&buffer[..length]).await;
            }
            Some(_) = answering.join_next() => {}
        }
    }
}

async fn open(flows: &Flows, client: SocketAddr, to: SocketAddr) -> Option<Arc<UdpSocket>> {
    if flows.lock().expect("no panic while held").len() >= CLIENTS {
        return None;
    }
    let any: IpAddr = match to {
        SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    let flow = Arc::new(UdpSocket::bind((any, 0)).await.ok()?);
    flow.connect(to).await.ok()?;
    flows.lock().expect("no panic while held").insert(client, flow.clone());
    Some(flow)
}

async fn answers(socket: Arc<UdpSocket>, flow: Arc<UdpSocket>, client: SocketAddr, flows: Flows) {
    let mut buffer = vec![0; LONGEST_BYTES];
    while let Ok(received) = tokio::time::timeout(IDLE, flow.recv(&mut buffer)).await {
        // Nobody listens in the container yet: that is told here.
        let Ok(length) = received else { continue };
        let _ = socket.send_to(&buffer[..length], client).await;
    }
    flows.lock().expect("no panic while held").remove(&client);
}
