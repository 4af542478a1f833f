//! Reading frames from a socket and writing them in turn, the same on both sides.

use crate::frame::{Decoder, Received};
use bytes::Bytes;
use std::io::{self, ErrorKind, Read, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::sync::mpsc;

/// How many frames may wait for a peer that does not read; then senders wait too.
const QUEUE: usize = 64;
const READ_BYTES: usize = 4096;

/// Watches a socket for one thing alone. Who waits to read is not woken each time that the peer has read: with one
/// short message now and then, that would be every other wake.
fn watched(stream: UnixStream, interest: Interest) -> io::Result<AsyncFd<UnixStream>> {
    // Deprecated for types that do not own their descriptor; this one does.
    #[allow(deprecated)]
    AsyncFd::with_interest(stream, interest)
}

/// Both halves of a connection.
pub(crate) fn halves(stream: tokio::net::UnixStream) -> io::Result<(Reader, Writer)> {
    let stream = Arc::new(watched(stream.into_std()?, Interest::READABLE)?);
    let writer = Writer { stream: stream.clone(), room: None };
    Ok((Reader { stream, decoder: Decoder::default() }, writer))
}

/// The reading half.
pub(crate) struct Reader {
    stream: Arc<AsyncFd<UnixStream>>,
    decoder: Decoder,
}

impl Reader {
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
            }
            let mut ready = self.stream.readable().await?;
            let buffer = self.decoder.buffer();
            let start = buffer.len();
            buffer.resize(start + READ_BYTES, 0);
            let read = ready.try_io(|stream| stream.get_ref().read(&mut buffer[start..]));
            let count = match &read {
                Ok(Ok(count)) => *count,
                _ => 0,
            };
            buffer.truncate(start + count);
            match read {
                Ok(Ok(0)) => return Ok(None),
                // That was all: who reads again is woken by what comes.
                Ok(Ok(count)) if count < READ_BYTES => ready.clear_ready(),
                Ok(Err(error)) if error.kind() != ErrorKind::Interrupted => return Err(error),
                // There may be more, or it was an old wake.
                _ => {}
            }
        }
    }
}

/// The writing half.
pub(crate) struct Writer {
    stream: Arc<AsyncFd<UnixStream>>,
    /// The socket by another descriptor, watched for room once it was full.
    room: Option<AsyncFd<UnixStream>>,
}

impl Writer {
    async fn write_all(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            match self.stream.get_ref().write(bytes) {
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Ok(count) => bytes = &bytes[count..],
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => self.wait().await?,
                Err(error) => return Err(error),
            }
        }
        self.room = None;
        Ok(())
    }

    /// Resolves when there may be room in the socket, which was just found full.
    async fn wait(&mut self) -> io::Result<()> {
        match &self.room {
            // What it knows is from before the socket was found full, unless it is told anew.
            Some(room) => {
                let mut ready = room.writable().await?;
                ready.clear_ready();
            }
            // A new watch is told at once if there is room by now.
            None => self.room = Some(watched(self.stream.get_ref().try_clone()?, Interest::WRITABLE)?),
        }
        Ok(())
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        // The reading half may hold the socket open: the peer learns that nothing more comes.
        let _ = self.stream.get_ref().shutdown(Shutdown::Write);
    }
}

/// Starts the writing half: frames sent to the channel are written whole and in order. The task
/// ends when all senders are gone, having written everything, or when the peer is gone.
pub(crate) fn spawn_writer(mut writer: Writer) -> (mpsc::Sender<Bytes>, tokio::task::JoinHandle<()>) {
    let (sender, mut frames) = mpsc::channel::<Bytes>(QUEUE);
    let task = tokio::spawn(async move {
        while let Some(frame) = frames.recv().await {
            if writer.write_all(&frame).await.is_err() {
                return;
            }
        }
    });
    (sender, task)
}
