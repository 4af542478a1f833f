//! Reading frames from a socket and writing them in turn, the same on both sides.

use crate::frame::{Decoder, Received};
use bytes::Bytes;
use std::io;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::mpsc;

/// How many frames may wait for a peer that does not read; then senders wait too.
const QUEUE: usize = 64;
const READ_BYTES: usize = 4096;

/// The reading half.
pub(crate) struct Reader {
    stream: OwnedReadHalf,
    decoder: Decoder,
}

impl Reader {
    pub(crate) fn new(stream: OwnedReadHalf) -> Reader {
        Reader { stream, decoder: Decoder::default() }
    }

    /// The next frame; `None` at the end of the connection. Can be dropped and called again.
    pub(crate) async fn next(&mut self) -> io::Result<Option<Received>> {
        loop {
            if let Some(received) = self.decoder.next_frame() {
                return Ok(Some(received));
            }
            let buffer = self.decoder.buffer();
            if buffer.is_empty() {
                // Nothing is kept between messages: idle connections cost no memory.
                *buffer = bytes::BytesMut::new();
                self.stream.readable().await?;
            }
            let buffer = self.decoder.buffer();
            buffer.reserve(READ_BYTES);
            if self.stream.read_buf(buffer).await? == 0 {
                return Ok(None);
            }
        }
    }
}

/// Starts the writing half: frames sent to the channel are written whole and in order. The task
/// ends when all senders are gone, having written everything, or when the peer is gone.
pub(crate) fn spawn_writer(mut stream: OwnedWriteHalf) -> (mpsc::Sender<Bytes>, tokio::task::JoinHandle<()>) {
    let (sender, mut frames) = mpsc::channel::<Bytes>(QUEUE);
    let task = tokio::spawn(async move {
        while let Some(frame) = frames.recv().await {
            if stream.write_all(&frame).await.is_err() {
                return;
            }
        }
    });
    (sender, task)
}
