//! One container's resolver: sockets in its namespace, answered here.

use std::net::IpAddr;
use std::path::Path;
use std::sync::{Arc, Weak};
use std::time::Duration;

use errdefs::{Error, Result};
use network::{Netns, Resolver};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::sync::{Semaphore, mpsc};
use tokio::task::AbortHandle;

use super::forward::{Transport, forward, read_framed, write_framed};
use super::message::{Code, Query, refusal};
use crate::containers::Container;
use crate::engine::Engine;
use crate::networks::{files, told};

/// Queries of one container that others are asked at once; each takes a socket or more. The rest wait for their turn.
const PARALLEL: usize = 512;
/// Queries of one container that wait for others' answers or for their turn. More are not heard.
const WAITING: usize = 8192;
/// How long a query waits for its turn: its client asks again.
const TURN: Duration = Duration::from_secs(5);
/// Streams of one container that are open.
const STREAMS: usize = 256;
/// Answers of one stream that its client has not taken yet.
const UNTAKEN: usize = 64;
/// A stream that says nothing for so long is closed.
const IDLE: Duration = Duration::from_secs(10);
/// Longest message over UDP.
const QUERY_LIMIT_BYTES: usize = 65_535;

/// A resolver at work; it ends when this goes.
pub struct Serving(AbortHandle);

impl Drop for Serving {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// What the tasks of one resolver share. The engine may end before they do.
#[derive(Clone)]
struct Asked {
    engine: Weak<Engine>,
    container: Weak<Container>,
    under_way: Arc<Semaphore>,
    waiting: Arc<Semaphore>,
    streams: Arc<Semaphore>,
}

/// Answers what comes to a container's resolver from now on.
///
/// # Errors
/// The sockets cannot be used.
pub fn serve(engine: &Arc<Engine>, container: &Arc<Container>, resolver: Resolver) -> Result<()> {
    let failed = |cause| Error::internal("cannot serve names").with_source(cause);
    let udp = Arc::new(UdpSocket::from_std(resolver.udp).map_err(failed)?);
    let tcp = TcpListener::from_std(resolver.tcp).map_err(failed)?;
    let asked = Asked {
        engine: Arc::downgrade(engine),
        container: Arc::downgrade(container),
        under_way: Arc::new(Semaphore::new(PARALLEL)),
        waiting: Arc::new(Semaphore::new(WAITING)),
        streams: Arc::new(Semaphore::new(STREAMS)),
    };
    let task = tokio::spawn(async move {
        tokio::join!(datagrams(asked.clone(), udp), streams(asked, tcp));
    });
    container.live().resolver = Some(Serving(task.abort_handle()));
    Ok(())
}

/// Opens the resolver of a container that runs since before this engine's life.
pub async fn restore(engine: &Arc<Engine>, container: &Arc<Container>) {
    let record = container.record();
    let has_names = record
        .endpoints
        .keys()
        .any(|name| engine.networks.table.get(name).is_some_and(|known| known.is_custom()));
    if !has_names || record.netns.is_empty() || container.live().resolver.is_some() {
        return;
    }
    let path = record.netns.clone();
    let opened =
        tokio::task::spawn_blocking(move || Netns::open(Path::new(&path)).and_then(|netns| netns.resolver()));
    let served = match opened.await {
        Ok(opened) => opened.map_err(told).and_then(|resolver| serve(engine, container, resolver)),
        Err(_) => return,
    };
    if let Err(error) = served {
        tracing::warn!(container = %container.id, error = %error.chain(), "cannot serve names to a container");
    }
}

async fn datagrams(asked: Asked, socket: Arc<UdpSocket>) {
    let mut buffer = vec![0; QUERY_LIMIT_BYTES];
    loop {
        let (length, client) = match socket.recv_from(&mut buffer).await {
            Ok(received) => received,
            // The last answer found nobody: that is told here.
            Err(_) => continue,
        };
        let message = &buffer[..length];
        let query = match resolve(&asked, message, Transport::Udp) {
            Some(Resolved::Here(answer)) => {
                let _ = socket.send_to(&answer, client).await;
                continue;
            }
            Some(Resolved::Elsewhere(query)) => query,
            None => continue,
        };
        let socket = socket.clone();
        elsewhere(&asked, query, message.to_vec(), Transport::Udp, move |answer| async move {
            let _ = socket.send_to(&answer, client).await;
        });
    }
}

/// Has others answer a query, in its turn, and gives the answer back. Who asks faster than others answer asks in
/// vain, and asks again.
fn elsewhere<F: Future<Output = ()> + Send>(
    asked: &Asked,
    query: Forwarded,
    message: Vec<u8>,
    transport: Transport,
    give: impl FnOnce(Vec<u8>) -> F + Send + 'static,
) {
    let Ok(place) = asked.waiting.clone().try_acquire_owned() else { return };
    let under_way = asked.under_way.clone();
    tokio::spawn(async move {
        if let Ok(Ok(turn)) = tokio::time::timeout(TURN, under_way.acquire_owned()).await {
            let answer = query.answer(&message, transport).await;
            drop(turn);
            give(answer).await;
        }
        drop(place);
    });
}

async fn streams(asked: Asked, listener: TcpListener) {
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            tokio::time::sleep(Duration::from_millis(50)).await;
            continue;
        };
        let Ok(permit) = asked.streams.clone().try_acquire_owned() else { continue };
        let asked = asked.clone();
        tokio::spawn(async move {
            stream_of_queries(asked, stream).await;
            drop(permit);
        });
    }
}

/// Answers each query of a stream as soon as its answer is there, in whatever order that is (RFC 7766, 6.2.1.1).
async fn stream_of_queries(asked: Asked, stream: TcpStream) {
    let (mut reader, mut writer) = stream.into_split();
    let (send, mut answers) = mpsc::channel::<Vec<u8>>(UNTAKEN);
    let writing = tokio::spawn(async move {
        while let Some(answer) = answers.recv().await {
            if write_framed(&mut writer, &answer).await.is_err() {
                return;
            }
        }
    });
    while let Ok(Ok(message)) = tokio::time::timeout(IDLE, read_framed(&mut reader)).await {
        match resolve(&asked, &message, Transport::Tcp) {
            Some(Resolved::Here(answer)) => {
                if send.send(answer).await.is_err() {
                    break;
                }
            }
            Some(Resolved::Elsewhere(query)) => {
                let send = send.clone();
                elsewhere(&asked, query, message, Transport::Tcp, move |answer| async move {
                    let _ = send.send(answer).await;
                });
            }
            None => break,
        }
    }
    drop(send);
    let _ = writing.await;
}

/// Where the answer to a message comes from.
enum Resolved {
    Here(Vec<u8>),
    Elsewhere(Forwarded),
}

/// A query for other name servers.
struct Forwarded {
    query: Query,
    servers: Vec<IpAddr>,
}

impl Forwarded {
    async fn answer(&self, message: &[u8], transport: Transport) -> Vec<u8> {
        let answer = forward(&self.servers, message, transport).await;
        answer.unwrap_or_else(|| self.query.empty(Code::ServerFailure))
    }
}

/// The answer to a message; none to what is no query.
fn resolve(asked: &Asked, message: &[u8], transport: Transport) -> Option<Resolved> {
    let (engine, container) = (asked.engine.upgrade()?, asked.container.upgrade()?);
    let Some(query) = Query::parse(message) else { return refusal(message).map(Resolved::Here) };
    if let Some(answer) = super::answer(&engine, &container, &query) {
        return Some(Resolved::Here(match transport {
            Transport::Udp => query.fitting(answer),
            Transport::Tcp => answer,
        }));
    }
    let record = container.record();
    let leads_out = |name: &String| engine.networks.table.get(name).is_some_and(|known| !known.is_internal());
    // An island has no way to the world's names either.
    if !record.endpoints.keys().any(leads_out) {
        return Some(Resolved::Here(query.empty(Code::ServerFailure)));
    }
    let servers = files::forwarders(&engine, &record).unwrap_or_default();
    Some(Resolved::Elsewhere(Forwarded { query, servers }))
}
