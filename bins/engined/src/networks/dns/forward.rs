//! Queries for everybody else's names: passed on to the host's name servers.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};

use super::message::answers;

const PORT: u16 = 53;
/// Nobody waits longer for all servers together; resolvers ask again after five seconds.
const PATIENCE: Duration = Duration::from_secs(4);
/// Time that a server has before the next one is asked too.
const HEAD_START: Duration = Duration::from_millis(400);
/// Resolvers ask no more servers than that (resolv.conf(5)).
const SERVERS: usize = 3;
const ANSWER_LIMIT_BYTES: usize = 65_535;

/// How the question came, and so how it goes on.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Transport {
    Udp,
    Tcp,
}

/// The first answer of any server. The next one is asked as soon as one fails, or has been silent
/// for a while; the earlier ones may still answer.
pub async fn forward(servers: &[IpAddr], query: &[u8], transport: Transport) -> Option<Vec<u8>> {
    let mut asked = tokio::task::JoinSet::new();
    let mut left = servers.iter().take(SERVERS).copied();
    let deadline = tokio::time::sleep(PATIENCE);
    tokio::pin!(deadline);
    loop {
        let next = left.next();
        if let Some(server) = next {
            let query = query.to_vec();
            asked.spawn(async move { ask_by(SocketAddr::new(server, PORT), &query, transport).await });
        }
        if asked.is_empty() {
            return None;
        }
        let has_more = left.len() > 0;
        tokio::select! {
            answered = asked.join_next() => match answered {
                Some(Ok(Ok(answer))) => return Some(answer),
                Some(Ok(Err(error))) => tracing::debug!(%error, "a name server does not answer"),
                _ => {}
            },
            () = tokio::time::sleep(HEAD_START), if has_more => {}
            () = &mut deadline => return None,
        }
    }
}

async fn ask_by(server: SocketAddr, query: &[u8], transport: Transport) -> io::Result<Vec<u8>> {
    match transport {
        Transport::Udp => ask(server, query).await,
        Transport::Tcp => ask_by_stream(server, query).await,
    }
}

async fn ask(server: SocketAddr, query: &[u8]) -> io::Result<Vec<u8>> {
    let any: SocketAddr = match server {
        SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
        SocketAddr::V6(_) => (std::net::Ipv6Addr::UNSPECIFIED, 0).into(),
    };
    // A port of its own for each query: nobody guesses where the answer is awaited.
    let socket = UdpSocket::bind(any).await?;
    socket.connect(server).await?;
    socket.send(query).await?;
    loop {
        // Those who wait for answers hold no memory for them.
        socket.readable().await?;
        let mut buffer = vec![0; ANSWER_LIMIT_BYTES];
        match socket.try_recv(&mut buffer) {
            Ok(length) if answers(query, &buffer[..length]) => {
                buffer.truncate(length);
                return Ok(buffer);
            }
            Err(cause) if cause.kind() != io::ErrorKind::WouldBlock => return Err(cause),
            _ => {}
        }
    }
}

async fn ask_by_stream(server: SocketAddr, query: &[u8]) -> io::Result<Vec<u8>> {
    let mut stream = TcpStream::connect(server).await?;
    write_framed(&mut stream, query).await?;
    let answer = read_framed(&mut stream).await?;
    if answers(query, &answer) { Ok(answer) } else { Err(io::ErrorKind::InvalidData.into()) }
}

/// A message with its length before it, as on every stream.
///
/// # Errors
/// The stream ends.
pub async fn read_framed(stream: &mut (impl AsyncRead + Unpin)) -> io::Result<Vec<u8>> {
    let length = stream.read_u16().await?;
    let mut message = vec![0; usize::from(length)];
    stream.read_exact(&mut message).await?;
    Ok(message)
}

/// Writes a message with its length before it.
///
/// # Errors
/// The stream is closed, or the message is longer than any.
pub async fn write_framed(stream: &mut (impl AsyncWrite + Unpin), message: &[u8]) -> io::Result<()> {
    let length = u16::try_from(message.len()).map_err(|_| io::Error::from(io::ErrorKind::InvalidInput))?;
    let mut framed = length.to_be_bytes().to_vec();
    framed.extend_from_slice(message);
    stream.write_all(&framed).await
}
