//! `containerd.services.streaming.v1.Streaming`: streams that transfers use, found by name.

use super::records::namespace_in;
use bytes::Bytes;
use containerd_api::services::streaming::v1::{StreamInit, streaming_server};
use containerd_api::types::transfer::{Data, WindowUpdate};
use containerd_api::{Any, pack, unpack};
use errdefs::{Error, Result as Outcome};
use metadata::Db;
use std::collections::HashMap;
use std::io::{self, Read, Write};
use std::pin::Pin;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::task::{Context, Poll};
use tokio::sync::{mpsc, oneshot};
use tokio_stream::Stream;
use tokio_stream::wrappers::UnboundedReceiverStream;
use tonic::{Request, Response, Status, Streaming, async_trait};

/// Bytes that a sender may be ahead; containerd grants 64 KiB, which is two messages.
const WINDOW: i32 = 4 << 20;
/// Bytes of one message, as containerd's clients expect.
const MESSAGE: usize = 32 << 10;

type Outgoing = mpsc::UnboundedSender<Result<Any, Status>>;

/// One stream, both ways; the client's call ends when it is dropped.
pub struct NamedStream {
    incoming: Streaming<Any>,
    outgoing: Outgoing,
    /// The lease that it was made under: with it, it goes.
    lease: Option<String>,
}

/// The streams that wait for a transfer, by namespace and name.
#[derive(Clone, Default)]
pub struct Streams(Arc<Mutex<HashMap<(String, String), NamedStream>>>);

impl Streams {
    /// Hands a stream to its user. NotFound.
    pub fn take(&self, namespace: &str, id: &str) -> Outcome<NamedStream> {
        self.map()
            .remove(&(namespace.to_owned(), id.to_owned()))
            .ok_or_else(|| Error::not_found(format!("stream {id:?}")))
    }

    /// Ends the streams that were made under a lease and that nobody has taken: the lease is gone.
    pub fn release(&self, namespace: &str, lease: &str) {
        self.map().retain(|(name, _), stream| name != namespace || stream.lease.as_deref() != Some(lease));
    }

    /// Keeps a stream for its user, until its client has gone: then the sender of `gone` is dropped.
    fn put(
        &self,
        namespace: &str,
        id: &str,
        stream: NamedStream,
        gone: oneshot::Receiver<()>,
    ) -> Outcome<()> {
        let key = (namespace.to_owned(), id.to_owned());
        let mut map = self.map();
        if map.contains_key(&key) {
            return Err(Error::already_exists(format!("stream {id:?}")));
        }
        map.insert(key.clone(), stream);
        drop(map);
        let streams = self.clone();
        tokio::spawn(async move {
            // It ends, with an error, when the client's call does.
            let _ = gone.await;
            let mut map = streams.map();
            // The client left before anybody took the stream; another may have its name by now.
            if map.get(&key).is_some_and(|stream| stream.outgoing.is_closed()) {
                map.remove(&key);
            }
        });
        Ok(())
    }

    fn map(&self) -> std::sync::MutexGuard<'_, HashMap<(String, String), NamedStream>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What is sent to a client, until its call ends.
struct Answers {
    messages: UnboundedReceiverStream<Result<Any, Status>>,
    /// Dropped with the call.
    _here: oneshot::Sender<()>,
}

impl Stream for Answers {
    type Item = Result<Any, Status>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        Pin::new(&mut self.messages).poll_next(context)
    }
}

impl NamedStream {
    /// Sends one message; false when the client is gone.
    pub fn send(&self, message: Any) -> bool {
        self.outgoing.send(Ok(message)).is_ok()
    }

    /// The next message; `None` when the client sends no more.
    pub async fn receive(&mut self) -> Outcome<Option<Any>> {
        Ok(self.incoming.message().await?)
    }

    /// The sending half alone; what the client sends is not looked at.
    pub fn into_sender(self) -> Sender {
        Sender { outgoing: self.outgoing, _incoming: Arc::new(Mutex::new(self.incoming)) }
    }

    /// The bytes that the client sends, to be read on a thread that may wait.
    pub fn into_reader(mut self) -> ByteReader {
        let (sender, chunks) = mpsc::channel(32);
        tokio::spawn(async move {
            let mut window = 0;
            loop {
                if window < WINDOW / 2 {
                    self.send(pack(&WindowUpdate { update: WINDOW }));
                    window += WINDOW;
                }
                let chunk = match self.receive().await {
                    Ok(None) => return,
                    Ok(Some(message)) => unpack::<Data>(&message)
                        .map(|data| data.data)
                        .map_err(|cause| io::Error::new(io::ErrorKind::InvalidData, cause.to_string())),
                    Err(error) => Err(io::Error::other(error.chain())),
                };
                let failed = chunk.is_err();
                window -= chunk.as_ref().map_or(0, |chunk| i32::try_from(chunk.len()).unwrap_or(i32::MAX));
                // The reader is gone: so is the stream, when `self` is.
                if sender.send(chunk).await.is_err() || failed {
                    return;
                }
            }
        });
        ByteReader { chunks, current: Bytes::new() }
    }

    /// Where bytes for the client are written, on a thread that may wait.
    pub fn into_writer(mut self) -> ByteWriter {
        let window = Arc::new(Window::default());
        let outgoing = self.outgoing.clone();
        let granted = window.clone();
        let granting = tokio::spawn(async move {
            while let Ok(Some(message)) = self.incoming.message().await {
                if let Ok(update) = unpack::<WindowUpdate>(&message) {
                    granted.grant(i64::from(update.update));
                }
            }
            granted.close();
        });
        ByteWriter { outgoing, window, granting }
    }
}

/// The sending half of a stream, shared by clones.
#[derive(Clone)]
pub struct Sender {
    outgoing: Outgoing,
    _incoming: Arc<Mutex<Streaming<Any>>>,
}

impl Sender {
    /// Sends one message; a client that is gone is no failure of the sender's work.
    pub fn send(&self, message: Any) {
        let _ = self.outgoing.send(Ok(message));
    }
}

/// Bytes from a client.
pub struct ByteReader {
    chunks: mpsc::Receiver<io::Result<Bytes>>,
    current: Bytes,
}

impl Read for ByteReader {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        while self.current.is_empty() {
            match self.chunks.blocking_recv() {
                None => return Ok(0),
                Some(chunk) => self.current = chunk?,
            }
        }
        let count = self.current.len().min(out.len());
        out[..count].copy_from_slice(&self.current.split_to(count));
        Ok(count)
    }
}

#[derive(Default)]
struct Window {
    /// Bytes that may be sent; `None` when no more will be granted.
    state: Mutex<(i64, bool)>,
    changed: Condvar,
}

impl Window {
    fn grant(&self, bytes: i64) {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).0 += bytes;
        self.changed.notify_all();
    }

    fn close(&self) {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).1 = true;
        self.changed.notify_all();
    }

    /// Takes up to `wanted` bytes, waiting for at least one.
    fn take(&self, wanted: usize) -> io::Result<usize> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        while state.0 <= 0 {
            if state.1 {
                return Err(io::ErrorKind::BrokenPipe.into());
            }
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        let taken = wanted.min(usize::try_from(state.0).unwrap_or(usize::MAX));
        state.0 -= taken as i64;
        Ok(taken)
    }
}

/// Bytes to a client.
pub struct ByteWriter {
    outgoing: Outgoing,
    window: Arc<Window>,
    granting: tokio::task::JoinHandle<()>,
}

impl Write for ByteWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if bytes.is_empty() {
            return Ok(0);
        }
        let count = self.window.take(bytes.len().min(MESSAGE))?;
        let data = Data { data: Bytes::copy_from_slice(&bytes[..count]) };
        self.outgoing.send(Ok(pack(&data))).map_err(|_| io::ErrorKind::BrokenPipe)?;
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for ByteWriter {
    fn drop(&mut self) {
        self.granting.abort();
    }
}

/// The service.
pub struct StreamingService {
    /// Whose namespaces they are.
    pub db: Db,
    /// Where transfers find them.
    pub streams: Streams,
}

#[async_trait]
impl streaming_server::Streaming for StreamingService {
    type StreamStream = Pin<Box<dyn Stream<Item = Result<Any, Status>> + Send>>;

    async fn stream(&self, request: Request<Streaming<Any>>) -> Result<Response<Self::StreamStream>, Status> {
        let namespace = namespace_in(&self.db, &request)?;
        let mut incoming = request.into_inner();
        let first = incoming
            .message()
            .await?
            .ok_or_else(|| Error::invalid_argument("first message must be StreamInit"))?;
        let init = unpack::<StreamInit>(&first).map_err(|cause| {
            Error::invalid_argument("first message must be StreamInit").with_source(cause)
        })?;
        let (outgoing, answers) = mpsc::unbounded_channel();
        let (here, gone) = oneshot::channel();
        let lease = namespace.lease().map(str::to_owned);
        let stream = NamedStream { incoming, outgoing: outgoing.clone(), lease };
        self.streams.put(namespace.name(), &init.id, stream, gone)?;
        // From here on a transfer may name it.
        let empty = Any { type_url: "google.protobuf.Empty".to_owned(), value: Vec::new() };
        let _ = outgoing.send(Ok(empty));
        let messages = UnboundedReceiverStream::new(answers);
        Ok(Response::new(Box::pin(Answers { messages, _here: here })))
    }
}
