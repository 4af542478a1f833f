//! Streams that a Transfer call names: progress, credentials, and the bytes of archives.

use std::future::Future;

use bytes::Bytes;
use containerd_api::services::streaming::v1::StreamInit;
use containerd_api::types::transfer::{Data, WindowUpdate};
use containerd_api::{Any, pack, unpack};
use errdefs::{Error, Result};
use tokio::sync::mpsc;
use tokio_stream::StreamExt;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Streaming;

use super::{Supervisor, failed};

/// What a receiver grants at once: much, so that the sender need not wait for the next grant.
const WINDOW_BYTES: i32 = 1 << 20;
const CHUNK_BYTES: usize = 32 << 10;

/// An open stream: both directions, and the name that a request refers to it by.
pub struct Stream {
    pub id: String,
    send: mpsc::Sender<Any>,
    receive: Streaming<Any>,
}

impl Supervisor {
    /// Opens a stream; when this returns, a request may name it.
    ///
    /// # Errors
    /// The supervisor has no such service or does not answer.
    pub async fn open_stream(&self, purpose: &str) -> Result<Stream> {
        let id = format!("{purpose}-{}", crate::identity::short(&crate::identity::new_id()));
        let (send, queue) = mpsc::channel(16);
        let init = pack(&StreamInit { id: id.clone() });
        // The queue has room: nothing else was sent.
        let _ = send.try_send(init);
        let action = format!("open a stream for {purpose}");
        let mut receive =
            self.streaming().stream(ReceiverStream::new(queue)).await.map_err(failed(&action))?.into_inner();
        match receive.next().await {
            Some(Ok(_acknowledged)) => Ok(Stream { id, send, receive }),
            Some(Err(status)) => Err(failed(action)(status)),
            None => Err(Error::unavailable(format!("cannot {action}: the supervisor closed it"))),
        }
    }
}

impl Stream {
    /// The next message; `None` at the end.
    pub async fn next(&mut self) -> Option<Any> {
        self.receive.next().await.and_then(|message| message.ok())
    }

    /// Answers on the same stream; an error means that the other side left.
    pub async fn answer(&self, message: Any) -> bool {
        self.send.send(message).await.is_ok()
    }

    /// Sends bytes as the receiver grants them, until the source ends; then waits until the
    /// receiver has closed too, because going earlier would cut off what is under way.
    pub async fn send_bytes<F>(mut self, mut next: impl FnMut() -> F)
    where
        F: Future<Output = Option<Bytes>>,
    {
        let mut window = 0_i64;
        while let Some(mut bytes) = next().await {
            while !bytes.is_empty() {
                while window <= 0 {
                    let Some(message) = self.next().await else { return };
                    window += unpack::<WindowUpdate>(&message).map_or(0, |grant| i64::from(grant.update));
                }
                let length = bytes.len().min(CHUNK_BYTES).min(usize::try_from(window).unwrap_or(CHUNK_BYTES));
                let chunk = bytes.split_to(length);
                window -= chunk.len() as i64;
                if !self.answer(pack(&Data { data: chunk })).await {
                    return;
                }
            }
        }
        drop(self.send);
        while let Some(Ok(_)) = self.receive.next().await {}
    }

    /// Receives bytes until the sender closes, handing each piece on; `false` from `take` ends it.
    pub async fn receive_bytes<F>(mut self, mut take: impl FnMut(Bytes) -> F)
    where
        F: Future<Output = bool>,
    {
        let mut granted = 0;
        loop {
            if granted < WINDOW_BYTES {
                granted += WINDOW_BYTES;
                // A sender that listens no more has sent all it has, but not all of that has been read here.
                let _ = self.answer(pack(&WindowUpdate { update: WINDOW_BYTES })).await;
            }
            let Some(message) = self.next().await else { return };
            let Ok(data) = unpack::<Data>(&message) else { continue };
            granted -= i32::try_from(data.data.len()).unwrap_or(WINDOW_BYTES);
            if !take(data.data).await {
                return;
            }
        }
    }
}
