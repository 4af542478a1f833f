//! One byte stream to an engine.

use std::io;
use std::pin::Pin;
use std::process::Stdio;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, UnixStream};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio_rustls::client::TlsStream;

use crate::endpoint::Endpoint;
use crate::error::Error;
use crate::tls::Tls;

/// A connection over any of the transports.
pub enum Stream {
    Unix(UnixStream),
    Tcp(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
    /// `ssh HOST docker system dial-stdio`; the child lives as long as the stream.
    Ssh(Box<Ssh>),
}

/// A child that speaks for an engine far away.
pub struct Ssh {
    stdin: Option<ChildStdin>,
    stdout: ChildStdout,
    /// Ended when the stream is dropped.
    _child: Child,
}

impl Stream {
    pub(crate) async fn connect(endpoint: &Endpoint, tls: Option<&Tls>) -> Result<Self, Error> {
        let connected = match endpoint {
            Endpoint::Unix(path) => UnixStream::connect(path).await.map(Self::Unix),
            Endpoint::Tcp(address) => connect_tcp(address, tls).await,
            Endpoint::Ssh { destination, port } => spawn_ssh(destination, *port),
        };
        connected.map_err(|source| {
            let endpoint = endpoint.clone();
            match source.kind() {
                io::ErrorKind::PermissionDenied => Error::Permission { endpoint, source },
                io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => {
                    Error::Unreachable { endpoint, source }
                }
                _ => Error::Connect { endpoint, source },
            }
        })
    }
}

async fn connect_tcp(address: &str, tls: Option<&Tls>) -> io::Result<Stream> {
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    match tls {
        Some(tls) => Ok(Stream::Tls(Box::new(tls.connect(address, stream).await?))),
        None => Ok(Stream::Tcp(stream)),
    }
}

/// What runs on the far host: its docker, else its ctl, whatever shell the person has there.
const FAR_END: &str = "sh -c 'if command -v docker >/dev/null 2>&1; then exec docker system dial-stdio; else exec ctl system dial-stdio; fi'";

fn spawn_ssh(destination: &str, port: Option<u16>) -> io::Result<Stream> {
    let mut ssh = Command::new("ssh");
    ssh.args(["-o", "ConnectTimeout=30", "-T"]);
    if let Some(port) = port {
        ssh.args(["-p", &port.to_string()]);
    }
    ssh.args(["--", destination, FAR_END]);
    ssh.stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true);
    let mut child = ssh.spawn()?;
    let (Some(stdin), Some(stdout)) = (child.stdin.take(), child.stdout.take()) else {
        return Err(io::Error::other("ssh has no pipes"));
    };
    Ok(Stream::Ssh(Box::new(Ssh { stdin: Some(stdin), stdout, _child: child })))
}

impl AsyncRead for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Unix(stream) => Pin::new(stream).poll_read(cx, buffer),
            Self::Tcp(stream) => Pin::new(stream).poll_read(cx, buffer),
            Self::Tls(stream) => Pin::new(stream).poll_read(cx, buffer),
            Self::Ssh(ssh) => Pin::new(&mut ssh.stdout).poll_read(cx, buffer),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Unix(stream) => Pin::new(stream).poll_write(cx, bytes),
            Self::Tcp(stream) => Pin::new(stream).poll_write(cx, bytes),
            Self::Tls(stream) => Pin::new(stream).poll_write(cx, bytes),
            Self::Ssh(ssh) => match &mut ssh.stdin {
                Some(stdin) => Pin::new(stdin).poll_write(cx, bytes),
                None => Poll::Ready(Err(io::ErrorKind::BrokenPipe.into())),
            },
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Unix(stream) => Pin::new(stream).poll_flush(cx),
            Self::Tcp(stream) => Pin::new(stream).poll_flush(cx),
            Self::Tls(stream) => Pin::new(stream).poll_flush(cx),
            Self::Ssh(ssh) => match &mut ssh.stdin {
                Some(stdin) => Pin::new(stdin).poll_flush(cx),
                None => Poll::Ready(Ok(())),
            },
        }
    }

    /// Ends the writing side only: the half-close that tells an engine of stdin's end.
    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Unix(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Tcp(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Tls(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Ssh(ssh) => {
                // A pipe is half-closed by closing it.
                ssh.stdin.take();
                Poll::Ready(Ok(()))
            }
        }
    }
}
