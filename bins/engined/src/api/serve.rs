//! Connections: accept, speak HTTP/1.1, give up to whoever takes over.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use http::Request;
use hyper::body::{Body as _, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpStream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_rustls::TlsAcceptor;

use super::authorization::Caller;
use super::hijack::{Stream, TakeOver};
use super::lenient::Lenient;
use super::listeners::Listener;
use super::socket::Socket;
use crate::engine::Engine;

/// Pause when the process is out of descriptors.
const ACCEPT_AGAIN: Duration = Duration::from_millis(50);
/// A client that has not sent the head of its request by then has none.
const HEAD_PATIENCE: Duration = Duration::from_secs(60);
/// TLS handshakes take less, or come from nobody who means it.
const HANDSHAKE_PATIENCE: Duration = Duration::from_secs(10);
/// Longest head of a request; credentials and labels are part of it.
const HEAD_LIMIT_BYTES: usize = 256 << 10;
/// Connections at once on one listener: the others wait in the kernel's queue.
pub const CONNECTIONS: usize = 4096;
/// Handshakes at once: whoever has no certificate must not keep the processors busy.
const HANDSHAKES: usize = 32;

/// Accepts for ever.
pub async fn listen(engine: Arc<Engine>, listener: Listener) {
    let places = Arc::new(Semaphore::new(CONNECTIONS));
    let handshakes = Arc::new(Semaphore::new(HANDSHAKES));
    loop {
        let Ok(place) = places.clone().acquire_owned().await else { return };
        let accepted = match &listener {
            Listener::Unix(listener) => listener.accept().await.map(|(socket, _)| {
                let caller = Caller::local(socket.peer_cred().map_or(0, |peer| peer.uid()));
                drop(tokio::spawn(connection(engine.clone(), socket.into(), caller, place)));
            }),
            Listener::Tls(listener, acceptor) => listener.accept().await.map(|(socket, _)| {
                let (acceptor, handshakes) = (acceptor.clone(), handshakes.clone());
                drop(tokio::spawn(secured(engine.clone(), socket, acceptor, handshakes, place)));
            }),
        };
        if let Err(error) = accepted {
            tracing::warn!(%error, "cannot accept a connection");
            tokio::time::sleep(ACCEPT_AGAIN).await;
        }
    }
}

/// A connection whose client must first show who it is.
async fn secured(
    engine: Arc<Engine>,
    socket: TcpStream,
    acceptor: TlsAcceptor,
    handshakes: Arc<Semaphore>,
    place: OwnedSemaphorePermit,
) {
    let Ok(turn) = handshakes.acquire_owned().await else { return };
    let _ = socket.set_nodelay(true);
    let stream = match tokio::time::timeout(HANDSHAKE_PATIENCE, acceptor.accept(socket)).await {
        Ok(Ok(stream)) => stream,
        Ok(Err(error)) => return tracing::info!(%error, "a client is refused"),
        Err(_) => return tracing::info!("a client does not finish its handshake"),
    };
    drop(turn);
    let caller = Caller::of(stream.get_ref().1.peer_certificates());
    connection(engine, Socket::Tls(Box::new(stream)), caller, place).await;
}

async fn connection(engine: Arc<Engine>, socket: Socket, caller: Caller, place: OwnedSemaphorePermit) {
    let hangup = socket.hung_up();
    tokio::pin!(hangup);
    let (take_over, taken) = TakeOver::new();
    let caller = Arc::new(caller);
    let (socket, expected) = Lenient::new(socket);
    let service = service_fn(move |request: Request<Incoming>| {
        let (engine, take_over, caller) = (engine.clone(), take_over.clone(), caller.clone());
        let (expected, has_body) = (expected.clone(), !request.body().is_end_stream());
        Box::pin(async move {
            let answer = super::routes::answer(engine, request, take_over, &caller).await;
            if !has_body {
                expected.again();
            }
            Ok::<_, Infallible>(answer)
        })
    });
    // A client may close its sending half as soon as the request is out.
    let mut connection = http1::Builder::new()
        .half_close(true)
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_PATIENCE)
        .max_buf_size(HEAD_LIMIT_BYTES)
        .serve_connection(TokioIo::new(socket), service);
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
        let (socket, rest) = parts.io.into_inner().into_parts();
        let mut early = BytesMut::from(parts.read_buf);
        early.extend_from_slice(&rest);
        tokio::select! {
            () = successor(Stream::new(socket, early.freeze())) => {}
            () = hangup => {}
        }
    }
    drop(place);
}
