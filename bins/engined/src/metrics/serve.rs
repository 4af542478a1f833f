//! `GET /metrics`, on an address of its own and to everybody who reaches it, as with dockerd.

use std::convert::Infallible;
use std::net::ToSocketAddrs;
use std::sync::Arc;
use std::time::Duration;

use errdefs::{Error, Result};
use http::{Method, Request, Response, StatusCode, header};
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;

use crate::engine::Engine;

/// Scrapers at once.
const CONNECTIONS: usize = 16;
/// Pause when the process is out of descriptors.
const ACCEPT_AGAIN: Duration = Duration::from_millis(50);
/// A client that has not sent the head of its request by then has none.
const HEAD_PATIENCE: Duration = Duration::from_secs(10);

/// A listening socket.
pub struct Listener(TcpListener);

impl Listener {
    /// Listens at `HOST:PORT`. Inside the runtime.
    ///
    /// # Errors
    /// The address is none, or is taken.
    pub fn open(address: &str) -> Result<Listener> {
        let failed = |cause: std::io::Error| {
            Error::failed_precondition(format!("cannot serve metrics on {address} (--metrics-addr)"))
                .with_source(cause)
        };
        let all: Vec<_> = address.to_socket_addrs().map_err(failed)?.collect();
        let listener = std::net::TcpListener::bind(&all[..]).map_err(failed)?;
        listener.set_nonblocking(true).map_err(failed)?;
        TcpListener::from_std(listener).map(Listener).map_err(failed)
    }
}

/// Answers for ever.
pub async fn serve(engine: Arc<Engine>, listener: Listener) {
    let places = Arc::new(Semaphore::new(CONNECTIONS));
    loop {
        let Ok(place) = places.clone().acquire_owned().await else { return };
        let socket = match listener.0.accept().await {
            Ok((socket, _)) => socket,
            Err(error) => {
                tracing::warn!(%error, "cannot accept a connection for metrics");
                tokio::time::sleep(ACCEPT_AGAIN).await;
                continue;
            }
        };
        let engine = engine.clone();
        tokio::spawn(async move {
            let service = service_fn(|request: Request<Incoming>| {
                std::future::ready(Ok::<_, Infallible>(answer(&engine, &request)))
            });
            let mut server = http1::Builder::new();
            server.timer(TokioTimer::new()).header_read_timeout(HEAD_PATIENCE);
            if let Err(error) = server.serve_connection(TokioIo::new(socket), service).await {
                tracing::debug!(%error, "a connection for metrics broke");
            }
            drop(place);
        });
    }
}

fn answer(engine: &Engine, request: &Request<Incoming>) -> Response<Full<Bytes>> {
    let with = |status: StatusCode, kind: &str, body: Vec<u8>| {
        let mut answer = Response::new(Full::from(body));
        *answer.status_mut() = status;
        if let Ok(kind) = kind.parse() {
            answer.headers_mut().insert(header::CONTENT_TYPE, kind);
        }
        answer
    };
    const TEXT: &str = "text/plain; charset=utf-8";
    match (request.method(), request.uri().path()) {
        (&Method::GET | &Method::HEAD, "/metrics") => match engine.metrics.shown(engine) {
            Ok((kind, text)) => with(StatusCode::OK, &kind, text),
            Err(error) => with(StatusCode::INTERNAL_SERVER_ERROR, TEXT, error.to_string().into_bytes()),
        },
        (_, "/metrics") => with(StatusCode::METHOD_NOT_ALLOWED, TEXT, b"only GET\n".to_vec()),
        _ => with(StatusCode::NOT_FOUND, TEXT, b"404 page not found\n".to_vec()),
    }
}
