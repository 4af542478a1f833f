//! A client's connection: on a unix socket, or by TCP inside TLS.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::unix::AsyncFd;
use tokio::io::{AsyncRead, AsyncWrite, Interest, ReadBuf};
use tokio::net::{TcpStream, UnixStream};
use tokio_rustls::server::TlsStream;

/// A connection.
pub enum Socket {
    Unix(UnixStream),
    Tls(Box<TlsStream<TcpStream>>),
}

impl From<UnixStream> for Socket {
    fn from(socket: UnixStream) -> Socket {
        Socket::Unix(socket)
    }
}

impl Socket {
    /// Resolves when the client is gone, which half-close mode does not look for: whatever the
    /// request was waiting for is given up then. On a unix socket a closed sending half is no end;
    /// inside TLS a client says so in the stream, and whoever closes the connection is gone.
    // Deprecated because an `AsRawFd` might change its number; an `OwnedFd` never does.
    #[expect(deprecated)]
    pub fn hung_up(&self) -> impl Future<Output = ()> + Send + use<> {
        let (fd, interest) = match self {
            Socket::Unix(socket) => (socket.as_fd(), Interest::PRIORITY),
            Socket::Tls(stream) => (stream.get_ref().0.as_fd(), Interest::READABLE),
        };
        let is_tls = matches!(self, Socket::Tls(_));
        let copy: Option<AsyncFd<OwnedFd>> =
            fd.try_clone_to_owned().ok().and_then(|copy| AsyncFd::with_interest(copy, interest).ok());
        async move {
            while let Some(copy) = &copy {
                match copy.ready(interest).await {
                    Ok(mut guard) if is_tls && !guard.ready().is_read_closed() => guard.clear_ready(),
                    Ok(_) => return,
                    Err(_) => break,
                }
            }
            std::future::pending().await
        }
    }
}

impl AsyncRead for Socket {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match &mut *self {
            Socket::Unix(socket) => Pin::new(socket).poll_read(context, buffer),
            Socket::Tls(stream) => Pin::new(stream).poll_read(context, buffer),
        }
    }
}

impl AsyncWrite for Socket {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match &mut *self {
            Socket::Unix(socket) => Pin::new(socket).poll_write(context, bytes),
            Socket::Tls(stream) => Pin::new(stream).poll_write(context, bytes),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut *self {
            Socket::Unix(socket) => Pin::new(socket).poll_flush(context),
            Socket::Tls(stream) => Pin::new(stream).poll_flush(context),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut *self {
            Socket::Unix(socket) => Pin::new(socket).poll_shutdown(context),
            Socket::Tls(stream) => Pin::new(stream).poll_shutdown(context),
        }
    }
}
