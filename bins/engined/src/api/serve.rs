//! Connections: accept, speak HTTP/1.1, give up to whoever takes over.

use std::convert::Infallible;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::net::{UnixListener, UnixStream};

use super::hijack::{Stream, TakeOver};
use crate::engine::Engine;

/// Pause when the process is out of descriptors.
const ACCEPT_AGAIN: Duration = Duration::from_millis(50);

/// Accepts for ever.
pub async fn listen(engine: Arc<Engine>, listener: UnixListener) {
    loop {
        match listener.accept().await {
            Ok((socket, _)) => drop(tokio::spawn(connection(engine.clone(), socket))),
            Err(error) => {
                tracing::warn!(%error, "cannot accept a connection");
                tokio::time::sleep(ACCEPT_AGAIN).await;
            }
        }
    }
}

async fn connection(engine: Arc<Engine>, socket: UnixStream) {
    let hangup = hung_up(&socket);
    tokio::pin!(hangup);
    let (take_over, taken) = TakeOver::new();
    let service = service_fn(move |request| {
        let (engine, take_over) = (engine.clone(), take_over.clone());
        Box::pin(async move { Ok::<_, Infallible>(super::routes::answer(engine, request, take_over).await) })
    });
    // A client may close its sending half as soon as the request is out.
    let mut connection =
        http1::Builder::new().half_close(true).serve_connection(TokioIo::new(socket), service);
    let successor = tokio::select! {
        biased;
        successor = taken => successor.ok(),
        result = std::future::poll_fn(|context| connection.poll_without_shutdown(context)) => {
            if let Err(error) = result {
                tracing::debug!(%error, "a connection broke");
            }
            None
        }
        () = &mut hangup => None,
    };
    if let Some(successor) = successor {
        let parts = connection.into_parts();
        tokio::select! {
            () = successor(Stream::new(parts.io.into_inner(), parts.read_buf)) => {}
            () = hangup => {}
        }
    }
}

/// Resolves when the client has closed both directions, which half-close mode does not look for:
/// whatever the request was waiting for is given up then.
// Deprecated because an `AsRawFd` might change its number; an `OwnedFd` never does.
#[expect(deprecated)]
fn hung_up(socket: &UnixStream) -> impl Future<Output = ()> + Send + use<> {
    let copy: Option<AsyncFd<OwnedFd>> = socket
        .as_fd()
        .try_clone_to_owned()
        .ok()
        .and_then(|copy| AsyncFd::with_interest(copy, Interest::PRIORITY).ok());
    async move {
        if let Some(copy) = copy
            && copy.ready(Interest::PRIORITY).await.is_ok()
        {
            return;
        }
        std::future::pending().await
    }
}
