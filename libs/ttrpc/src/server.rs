//! The answering side.

use crate::Status;
use crate::connection::{halves, spawn_writer};
use crate::frame::{self, Header, MessageType, Received};
use crate::message::{Request, Response};
use bytes::Bytes;
use errdefs::Kind;
use prost::Message;
use std::collections::HashMap;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

/// How long calls in flight may go on after the shutdown; their answers are still sent.
const GRACE: Duration = Duration::from_secs(1);
/// How long accepting rests when descriptors have run out.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// What comes along with a call.
pub struct Context {
    /// Keys are lower case.
    pub metadata: Vec<(String, String)>,
    /// How long the caller waits.
    pub timeout: Option<Duration>,
    ended: watch::Receiver<bool>,
}

impl Context {
    /// Resolves when nobody waits for the answer any more: the connection or the server ended, or
    /// the caller's time ran out. Only calls that wait need it; work once begun should be done.
    pub async fn ended(&self) {
        let mut ended = self.ended.clone();
        let closed = turns_true(&mut ended);
        match self.timeout {
            None => closed.await,
            Some(limit) => {
                let _ = tokio::time::timeout(limit, closed).await;
            }
        }
    }

    /// The first value of a metadata key, given in lower case.
    pub fn value(&self, key: &str) -> Option<&str> {
        self.metadata.iter().find(|(name, _)| name == key).map(|(_, value)| value.as_str())
    }
}

/// An answer to come.
pub type Reply<'a> = Pin<Box<dyn Future<Output = Result<Bytes, Status>> + Send + 'a>>;

/// Something that answers calls.
pub trait Service: Send + Sync {
    /// Answers `method`, whose request message is `payload`. Unknown methods are
    /// [`Kind::Unimplemented`] (see [`Server::unknown_method`]).
    fn call(&self, context: Context, method: &str, payload: Bytes) -> Reply<'static>;
}

/// Decodes a request, lets `handler` answer it, encodes the answer.
pub fn respond<Req, Resp, F>(payload: Bytes, handler: impl FnOnce(Req) -> F) -> Reply<'static>
where
    Req: Message + Default,
    Resp: Message,
    F: Future<Output = Result<Resp, Status>> + Send + 'static,
{
    match Req::decode(payload) {
        Ok(request) => {
            let answer = handler(request);
            Box::pin(async move { Ok(answer.await?.encode_to_vec().into()) })
        }
        Err(cause) => {
            let status = Status::new(Kind::Internal, format!("ttrpc: error unmarshalling payload: {cause}"));
            Box::pin(std::future::ready(Err(status)))
        }
    }
}

/// Services by name, and who may call them.
#[derive(Default)]
pub struct Server {
    services: HashMap<String, Arc<dyn Service>>,
    same_user: bool,
}

impl Server {
    /// A server without services, open to whoever can connect.
    pub fn new() -> Server {
        Server::default()
    }

    /// Adds a service under its full name.
    #[must_use]
    pub fn service(mut self, name: impl Into<String>, service: Arc<dyn Service>) -> Server {
        self.services.insert(name.into(), service);
        self
    }

    /// Drops connections of peers whose user or group differs from this process's (SO_PEERCRED).
    #[must_use]
    pub fn same_user_only(mut self) -> Server {
        self.same_user = true;
        self
    }

    /// The refusal of a method that a service does not have.
    pub fn unknown_method(method: &str) -> Status {
        Status::new(Kind::Unimplemented, format!("method {method}"))
    }

    /// Accepts and answers until `shutdown` resolves; then waits a moment for calls in flight.
    pub async fn serve(self, listener: UnixListener, shutdown: impl Future<Output = ()>) -> io::Result<()> {
        let server = Arc::new(self);
        let (stop, stopped) = watch::channel(false);
        let mut connections = JoinSet::new();
        tokio::pin!(shutdown);
        loop {
            tokio::select! {
                () = &mut shutdown => break,
                accepted = listener.accept() => match accepted {
                    Ok((stream, _)) if server.allows(&stream) => {
                        connections.spawn(server.clone().serve_connection(stream, stopped.clone()));
                    }
                    Ok(_) => {}
                    // EMFILE and its like pass; the listener itself cannot break.
                    Err(_) => tokio::time::sleep(ACCEPT_PAUSE).await,
                },
                Some(_) = connections.join_next(), if !connections.is_empty() => {}
            }
        }
        let _ = stop.send(true);
        while connections.join_next().await.is_some() {}
        Ok(())
    }

    fn allows(&self, stream: &UnixStream) -> bool {
        if !self.same_user {
            return true;
        }
        let Ok(peer) = stream.peer_cred() else { return false };
        let Ok(own) = UnixStream::pair().and_then(|(pair, _)| pair.peer_cred()) else { return false };
        peer.uid() == own.uid() && peer.gid() == own.gid()
    }

    /// Answers one connection until it ends or `stopped` turns true.
    pub async fn serve_connection(self: Arc<Self>, stream: UnixStream, mut stopped: watch::Receiver<bool>) {
        // Without memory to watch it there is no connection: its client learns so.
        let Ok((mut reader, writer)) = halves(stream) else { return };
        let (frames, writer) = spawn_writer(writer);
        let (end, ended) = watch::channel(false);
        let mut calls = JoinSet::new();
        let mut last = 0;
        loop {
            tokio::select! {
                () = turns_true(&mut stopped) => break,
                Some(_) = calls.join_next(), if !calls.is_empty() => {}
                received = reader.next() => match received {
                    Ok(Some(received)) => match self.accept(received, &mut last) {
                        Ok((stream, request)) => {
                            let context = context(&request, ended.clone());
                            calls.spawn(self.clone().answer(stream, context, request, frames.clone()));
                        }
                        Err(Some((stream, status))) => send(&frames, stream, Err(status)).await,
                        Err(None) => {}
                    },
                    Ok(None) | Err(_) => break,
                },
            }
        }
        let _ = end.send(true);
        // Work that was begun is finished, though nobody may read the answer; only at the
        // server's own end is there no time for it.
        let finish = async { while calls.join_next().await.is_some() {} };
        tokio::select! {
            () = finish => {}
            () = async { turns_true(&mut stopped).await; tokio::time::sleep(GRACE).await } => {}
        }
        drop(calls);
        drop(frames);
        let _ = tokio::time::timeout(GRACE, writer).await;
    }

    /// The request in a frame; or the stream and status of a refusal; or nothing to answer.
    fn accept(&self, received: Received, last: &mut u32) -> Result<(u32, Request), Option<(u32, Status)>> {
        let (header, data) = match received {
            Received::Frame(header, data) => (header, Ok(data)),
            Received::Oversized(header, length) => (header, Err(frame::oversized(length))),
        };
        let refuse = |kind, text: &str| Err(Some((header.stream, Status::new(kind, text))));
        match header.kind {
            MessageType::Request => {}
            MessageType::Data => return refuse(Kind::InvalidArgument, "StreamID is no longer active"),
            _ => return Err(None),
        }
        if header.stream % 2 != 1 {
            return refuse(Kind::InvalidArgument, "StreamID must be odd for client initiated streams");
        }
        if header.stream <= *last {
            return refuse(Kind::InvalidArgument, "StreamID cannot be re-used and must increment");
        }
        *last = header.stream;
        if header.flags & frame::REMOTE_OPEN != 0 {
            return refuse(Kind::Unimplemented, "streaming");
        }
        let data = data.map_err(|status| Some((header.stream, status)))?;
        match Request::decode(data) {
            Ok(request) => Ok((header.stream, request)),
            Err(cause) => {
                refuse(Kind::InvalidArgument, &format!("ttrpc: error unmarshalling request: {cause}"))
            }
        }
    }

    async fn answer(
        self: Arc<Self>,
        stream: u32,
        context: Context,
        request: Request,
        frames: mpsc::Sender<Bytes>,
    ) {
        let result = match self.services.get(&request.service) {
            Some(service) => service.call(context, &request.method, request.payload).await,
            None => Err(Status::new(Kind::Unimplemented, format!("service {}", request.service))),
        };
        send(&frames, stream, result).await;
    }
}

/// Resolves when the value is true, or its sender is gone.
async fn turns_true(flag: &mut watch::Receiver<bool>) {
    let _ = flag.wait_for(|flag| *flag).await;
}

fn context(request: &Request, ended: watch::Receiver<bool>) -> Context {
    Context {
        metadata: request.metadata.iter().map(|kv| (kv.key.to_lowercase(), kv.value.clone())).collect(),
        timeout: u64::try_from(request.timeout_nano).ok().filter(|n| *n > 0).map(Duration::from_nanos),
        ended,
    }
}

async fn send(frames: &mpsc::Sender<Bytes>, stream: u32, result: Result<Bytes, Status>) {
    let header = Header { stream, kind: MessageType::Response, flags: 0 };
    let frame = response(result).and_then(|data| frame::encode(header, &data));
    let frame = frame.or_else(|status| response(Err(status)).and_then(|data| frame::encode(header, &data)));
    if let Ok(frame) = frame {
        // The peer may be gone; then nobody waits for it.
        let _ = frames.send(frame).await;
    }
}

fn response(result: Result<Bytes, Status>) -> Result<Vec<u8>, Status> {
    Ok(match result {
        Ok(payload) => Response { status: None, payload },
        Err(status) => Response { status: Some(status.into()), payload: Bytes::new() },
    }
    .encode_to_vec())
}
