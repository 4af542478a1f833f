//! One connection, straight or by way of a proxy.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use http::Uri;
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_util::client::legacy::connect::proxy::Tunnel;
use hyper_util::client::legacy::connect::{Connected, Connection, HttpConnector};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tower_service::Service;

use crate::proxies::Proxies;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(30);
const KEEPALIVE: Duration = Duration::from_secs(30);

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// Opens connections. TLS, where it is spoken, goes through them.
#[derive(Clone)]
pub(crate) struct Connector {
    http: HttpConnector,
    proxies: Arc<Proxies>,
}

impl Connector {
    /// Without a timeout of the host's own the usual one holds.
    pub(crate) fn new(proxies: Arc<Proxies>, timeout: Option<Duration>) -> Connector {
        let mut http = HttpConnector::new();
        http.enforce_http(false);
        http.set_nodelay(true);
        http.set_connect_timeout(Some(timeout.unwrap_or(CONNECT_TIMEOUT)));
        http.set_keepalive(Some(KEEPALIVE));
        Connector { http, proxies }
    }
}

impl Service<Uri> for Connector {
    type Response = Line;
    type Error = Failure;
    type Future = Pin<Box<dyn Future<Output = Result<Line, Failure>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Failure>> {
        self.http.poll_ready(context).map_err(Into::into)
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let mut http = self.http.clone();
        let proxy = self.proxies.of(&uri).cloned();
        Box::pin(async move {
            let (stream, is_proxied) = match proxy {
                None => (http.call(uri).await?, false),
                // TLS goes to the host itself, through a tunnel that the proxy opens.
                Some(proxy) if uri.scheme_str() == Some("https") => {
                    let tunnel = Tunnel::new(proxy.uri, http);
                    let mut tunnel = match proxy.authorization {
                        Some(value) => tunnel.with_auth(value),
                        None => tunnel,
                    };
                    let stream = tunnel.call(uri).await;
                    (stream.map_err(|cause| format!("the proxy opens no tunnel: {cause}"))?, false)
                }
                Some(proxy) => (http.call(proxy.uri).await?, true),
            };
            Ok(Line { stream, is_proxied })
        })
    }
}

/// A connection.
pub(crate) struct Line {
    stream: TokioIo<TcpStream>,
    /// The other end is a proxy that wants to be told whole URLs.
    is_proxied: bool,
}

impl Connection for Line {
    fn connected(&self) -> Connected {
        self.stream.connected().proxy(self.is_proxied)
    }
}

impl Read for Line {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl Write for Line {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        pieces: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, pieces)
    }
}
