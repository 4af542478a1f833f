//! The calling side.

use crate::connection::{Reader, halves, spawn_writer};
use crate::frame::{self, Header, MessageType, Received};
use crate::message::{KeyValue, Request, Response};
use crate::{Error, Status};
use bytes::Bytes;
use errdefs::Kind;
use prost::Message;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::net::UnixStream;
use tokio::sync::{mpsc, oneshot, watch};

/// What goes along with a call.
#[derive(Clone, Debug, Default)]
pub struct CallOptions {
    /// Keys are sent in lower case.
    pub metadata: Vec<(String, String)>,
    /// After this the call fails with DeadlineExceeded; the server is told too.
    pub timeout: Option<Duration>,
}

/// A connection to a server; clones share it. Dropping the last one closes it.
#[derive(Clone)]
pub struct Client {
    shared: Arc<Shared>,
    closed: watch::Receiver<bool>,
}

struct Shared {
    calls: Arc<Mutex<Calls>>,
    frames: mpsc::Sender<Bytes>,
    reader: tokio::task::AbortHandle,
}

impl Drop for Shared {
    fn drop(&mut self) {
        self.reader.abort();
    }
}

/// Calls in flight by stream; `None` once the connection has ended.
struct Calls {
    next: u32,
    waiting: Option<HashMap<u32, oneshot::Sender<Result<Bytes, Status>>>>,
}

impl Client {
    /// Takes over a connected socket. Call it inside a tokio runtime.
    ///
    /// # Errors
    /// The socket cannot be watched.
    pub fn new(stream: UnixStream) -> std::io::Result<Client> {
        let (reader, writer) = halves(stream)?;
        let (frames, _) = spawn_writer(writer);
        let calls = Arc::new(Mutex::new(Calls { next: 1, waiting: Some(HashMap::new()) }));
        let (ended, closed) = watch::channel(false);
        let reader = tokio::spawn(receive(reader, calls.clone(), ended)).abort_handle();
        Ok(Client { shared: Arc::new(Shared { calls, frames, reader }), closed })
    }

    /// Calls `service`'s `method` and waits for its answer.
    pub async fn call<Req, Resp>(
        &self,
        service: &str,
        method: &str,
        request: &Req,
        options: CallOptions,
    ) -> Result<Resp, Error>
    where
        Req: Message,
        Resp: Message + Default,
    {
        let answer = self.call_raw(service, method, request.encode_to_vec().into(), options).await?;
        Resp::decode(answer).map_err(|cause| {
            Status::new(Kind::Internal, format!("ttrpc: error unmarshalling payload: {cause}")).into()
        })
    }

    /// Like [`Client::call`], with messages that are encoded already.
    pub async fn call_raw(
        &self,
        service: &str,
        method: &str,
        payload: Bytes,
        options: CallOptions,
    ) -> Result<Bytes, Error> {
        let timeout = options.timeout;
        let metadata = options
            .metadata
            .into_iter()
            .map(|(key, value)| KeyValue { key: key.to_lowercase(), value })
            .collect();
        let request = Request {
            service: service.to_owned(),
            method: method.to_owned(),
            payload,
            timeout_nano: timeout.map_or(0, |t| i64::try_from(t.as_nanos()).unwrap_or(i64::MAX)),
            metadata,
        };
        match timeout {
            None => self.exchange(request).await,
            Some(limit) => tokio::time::timeout(limit, self.exchange(request)).await.unwrap_or_else(|_| {
                Err(Status::new(Kind::DeadlineExceeded, Kind::DeadlineExceeded.bare_text()).into())
            }),
        }
    }

    /// Whether the connection has ended.
    pub fn is_closed(&self) -> bool {
        *self.closed.borrow()
    }

    /// Resolves when the connection has ended.
    pub async fn closed(&self) {
        let mut closed = self.closed.clone();
        // An error means that the reader is gone, which is the same.
        let _ = closed.wait_for(|ended| *ended).await;
    }

    async fn exchange(&self, request: Request) -> Result<Bytes, Error> {
        let data = request.encode_to_vec();
        if data.len() > frame::MAX_DATA_BYTES {
            return Err(frame::oversized(data.len()).into());
        }
        let permit = self.shared.frames.reserve().await.map_err(|_| Error::Closed)?;
        let (sender, answer) = oneshot::channel();
        // Streams must reach the wire in increasing order: the number is taken and the frame
        // queued under one lock.
        let pending = {
            let mut calls = lock(&self.shared.calls);
            let stream = calls.next;
            calls.waiting.as_mut().ok_or(Error::Closed)?.insert(stream, sender);
            calls.next += 2;
            let header = Header { stream, kind: MessageType::Request, flags: frame::REMOTE_CLOSED };
            permit.send(frame::encode(header, &data)?);
            Pending { calls: &self.shared.calls, stream }
        };
        let result = answer.await;
        drop(pending);
        match result {
            Ok(result) => result.map_err(Error::Status),
            Err(_) => Err(Error::Closed),
        }
    }
}

/// Forgets a call when its caller does.
struct Pending<'a> {
    calls: &'a Mutex<Calls>,
    stream: u32,
}

impl Drop for Pending<'_> {
    fn drop(&mut self) {
        if let Some(waiting) = &mut lock(self.calls).waiting {
            waiting.remove(&self.stream);
        }
    }
}

fn lock(calls: &Mutex<Calls>) -> MutexGuard<'_, Calls> {
    calls.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn receive(mut reader: Reader, calls: Arc<Mutex<Calls>>, ended: watch::Sender<bool>) {
    while let Ok(Some(received)) = reader.next().await {
        let (header, result) = match received {
            Received::Frame(header, data) if header.kind == MessageType::Response => {
                (header, answer_of(data))
            }
            Received::Oversized(header, length) => (header, Err(frame::oversized(length))),
            // Data of a stream that nobody opened.
            Received::Frame(..) => continue,
        };
        let caller = lock(&calls).waiting.as_mut().and_then(|waiting| waiting.remove(&header.stream));
        if let Some(caller) = caller {
            // A caller that gave up needs no answer.
            let _ = caller.send(result);
        }
    }
    // Dropping the senders wakes every caller with `Closed`.
    lock(&calls).waiting = None;
    let _ = ended.send(true);
}

fn answer_of(data: Bytes) -> Result<Bytes, Status> {
    let response = Response::decode(data).map_err(|cause| {
        Status::new(Kind::Internal, format!("ttrpc: error unmarshalling response: {cause}"))
    })?;
    match response.status {
        Some(status) if status.code != 0 => Err(status.into()),
        _ => Ok(response.payload),
    }
}
