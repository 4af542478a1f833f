//! Connections to log servers, made anew when they break.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use rustix::net::RecvFlags;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket, UnixDatagram, UnixStream};
use tokio_rustls::client::TlsStream;

use crate::tls::Tls;

/// A server that does not answer for so long is away.
const PATIENCE: Duration = Duration::from_secs(10);

/// Where a server is.
#[derive(Clone)]
pub(crate) enum Address {
    Udp(String),
    Tcp(String),
    Tls(String, Tls),
    Stream(PathBuf),
    Datagram(PathBuf),
}

impl std::fmt::Display for Address {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Address::Udp(host) => write!(f, "udp://{host}"),
            Address::Tcp(host) => write!(f, "tcp://{host}"),
            Address::Tls(host, _) => write!(f, "tcp+tls://{host}"),
            Address::Stream(path) | Address::Datagram(path) => write!(f, "unix://{}", path.display()),
        }
    }
}

enum Open {
    Udp(UdpSocket),
    Tcp(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
    Stream(UnixStream),
    Datagram(UnixDatagram),
}

/// A connection, open or to be opened.
pub(crate) struct Wire {
    address: Address,
    open: Option<Open>,
}

impl Wire {
    /// Connects.
    pub(crate) async fn open(address: Address) -> io::Result<Wire> {
        let mut wire = Wire::later(address);
        wire.connect().await?;
        Ok(wire)
    }

    /// Connects with the first message.
    pub(crate) fn later(address: Address) -> Wire {
        Wire { address, open: None }
    }

    pub(crate) fn address(&self) -> &Address {
        &self.address
    }

    async fn connect(&mut self) -> io::Result<&mut Open> {
        if self.open.is_none() {
            let connecting = connect(&self.address);
            let opened = tokio::time::timeout(PATIENCE, connecting).await;
            self.open = Some(opened.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))??);
        }
        self.open.as_mut().ok_or_else(|| io::ErrorKind::NotConnected.into())
    }

    /// Sends a message whole; once more on a new connection when the old one turns out to be broken.
    pub(crate) async fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        let was_open = self.open.is_some();
        match self.try_send(bytes).await {
            Err(_) if was_open => self.try_send(bytes).await,
            other => other,
        }
    }

    async fn try_send(&mut self, bytes: &[u8]) -> io::Result<()> {
        let open = self.connect().await?;
        let sending = async {
            match open {
                Open::Udp(socket) => socket.send(bytes).await.map(drop),
                Open::Tcp(stream) => {
                    still_there(stream)?;
                    stream.write_all(bytes).await
                }
                Open::Tls(stream) => {
                    stream.write_all(bytes).await?;
                    stream.flush().await
                }
                Open::Stream(stream) => stream.write_all(bytes).await,
                Open::Datagram(socket) => socket.send(bytes).await.map(drop),
            }
        };
        let sent = tokio::time::timeout(PATIENCE, sending).await;
        let sent = sent.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()));
        if sent.is_err() {
            self.open = None;
        }
        sent
    }

    /// What the other side answers; at most `limit` bytes at once.
    pub(crate) async fn receive(&mut self, limit: usize) -> io::Result<Vec<u8>> {
        let open = self.open.as_mut().ok_or(io::ErrorKind::NotConnected)?;
        let mut buffer = vec![0; limit];
        let receiving = async {
            match open {
                Open::Tcp(stream) => stream.read(&mut buffer).await,
                Open::Tls(stream) => stream.read(&mut buffer).await,
                Open::Stream(stream) => stream.read(&mut buffer).await,
                Open::Udp(_) | Open::Datagram(_) => Err(io::ErrorKind::Unsupported.into()),
            }
        };
        let received = tokio::time::timeout(PATIENCE, receiving).await;
        let received = received.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()));
        match received {
            Ok(0) | Err(_) => {
                self.open = None;
                Err(received.err().unwrap_or_else(|| io::ErrorKind::UnexpectedEof.into()))
            }
            Ok(length) => {
                buffer.truncate(length);
                Ok(buffer)
            }
        }
    }

    /// Gives the connection up; the next message makes a new one.
    pub(crate) fn drop_connection(&mut self) {
        self.open = None;
    }
}

/// A log server says nothing: what can be read is its end, and a write after it would be lost unnoticed.
fn still_there(stream: &TcpStream) -> io::Result<()> {
    let flags = RecvFlags::PEEK | RecvFlags::DONTWAIT;
    match rustix::net::recv(stream, &mut [0; 1], flags) {
        Ok((0, _)) => Err(io::ErrorKind::UnexpectedEof.into()),
        Ok(_) | Err(rustix::io::Errno::AGAIN) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

async fn connect(address: &Address) -> io::Result<Open> {
    Ok(match address {
        Address::Udp(host) => {
            let to = tokio::net::lookup_host(host).await?.next().ok_or(io::ErrorKind::NotFound)?;
            let from = if to.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
            let socket = UdpSocket::bind(from).await?;
            socket.connect(to).await?;
            Open::Udp(socket)
        }
        Address::Tcp(host) => Open::Tcp(TcpStream::connect(host).await?),
        Address::Tls(host, tls) => Open::Tls(Box::new(tls.connect(host).await?)),
        Address::Stream(path) => Open::Stream(UnixStream::connect(path).await?),
        Address::Datagram(path) => {
            let socket = UnixDatagram::unbound()?;
            socket.connect(path)?;
            Open::Datagram(socket)
        }
    })
}

/// `HOST:PORT` of an address that may lack the port; an IPv6 host stands in brackets.
pub(crate) fn with_port(host: &str, port: u16) -> String {
    let after = host.rsplit(']').next().unwrap_or(host);
    let has_port = after.contains(':') && (host.starts_with('[') || host.matches(':').count() == 1);
    if has_port { host.to_owned() } else { format!("{host}:{port}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_are_added_where_there_is_none() {
        for (host, whole) in [("a", "a:5"), ("a:1", "a:1"), ("[::1]", "[::1]:5"), ("[::1]:2", "[::1]:2")] {
            assert_eq!(with_port(host, 5), whole);
        }
    }

    #[tokio::test]
    async fn a_broken_connection_is_made_anew() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut wire = Wire::open(Address::Tcp(listener.local_addr().unwrap().to_string())).await.unwrap();
        drop(listener.accept().await.unwrap());
        let accepting = tokio::spawn(async move { listener.accept().await.unwrap().0 });
        wire.send(b"hello").await.unwrap();
        let mut got = [0; 5];
        accepting.await.unwrap().read_exact(&mut got).await.unwrap();
        assert_eq!(&got, b"hello");
    }
}
