//! Where copied bytes end up.

use crate::appended::{Appended, Tell};
use crate::fifo::{self, Opened};
use logs::{Logger, Stream};
use rustix::io::Errno;
use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::Arc;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// A place for output. Clones write to the same place.
#[derive(Clone)]
pub enum Sink {
    /// Thrown away.
    Null,
    /// A fifo; waits while it is full.
    Fifo(Arc<AsyncFd<OwnedFd>>),
    /// A file; errors are not the process's, and are told elsewhere.
    File(Arc<Appended>),
    /// A log in this process.
    Log(Arc<Logger>, Stream),
}

impl Sink {
    /// A path that exists: a fifo, or a file to append to, whose losses are told to `tell`.
    pub fn path(path: &Path, tell: Tell) -> io::Result<Sink> {
        match fifo::open_output(path)? {
            Opened::Fifo(fd) => Sink::writer(fd),
            Opened::File(file) => Ok(Sink::File(Arc::new(Appended::new(path, file, tell)))),
        }
    }

    /// A file to append to, made if needed, whose losses are told to `tell`. May block on the disk.
    pub fn file(path: &Path, tell: Tell) -> io::Result<Sink> {
        Ok(Sink::File(Arc::new(Appended::new(path, fifo::open_file(path)?, tell))))
    }

    /// A pipe's or fifo's writing end.
    pub fn writer(fd: OwnedFd) -> io::Result<Sink> {
        crate::pipe::set_nonblocking(&fd)?;
        Ok(Sink::Fifo(Arc::new(watched(fd, Interest::WRITABLE)?)))
    }

    /// Takes all the bytes, however long it takes. Only a broken pipe is an error: a full disk is
    /// no reason to stop a process.
    pub async fn write_all(&self, mut bytes: &[u8]) -> io::Result<()> {
        match self {
            Sink::Null => {}
            Sink::Log(logger, stream) => logger.write(*stream, bytes).await,
            Sink::File(file) => file.append(bytes).await,
            Sink::Fifo(fd) => {
                while !bytes.is_empty() {
                    match rustix::io::write(fd.get_ref(), bytes) {
                        Ok(n) => bytes = &bytes[n..],
                        Err(Errno::INTR) => {}
                        Err(Errno::AGAIN) => wait_writable(fd).await?,
                        Err(error) => return Err(error.into()),
                    }
                }
            }
        }
        Ok(())
    }

    /// Tells the place that nothing comes for now.
    pub(crate) fn rest(&self) {
        if let Sink::Log(logger, _) = self {
            logger.rest();
        }
    }

    /// Tells the place that this stream has ended.
    pub fn finish(&self) {
        if let Sink::Log(logger, stream) = self {
            logger.finish(*stream);
        }
    }
}

/// Registers an owned descriptor with the runtime.
pub(crate) fn watched(fd: OwnedFd, interest: Interest) -> io::Result<AsyncFd<OwnedFd>> {
    // Deprecated for types that do not own their descriptor; this one does.
    #[allow(deprecated)]
    AsyncFd::with_interest(fd, interest)
}

/// Resolves when the descriptor, which was just found full, may have room.
pub(crate) async fn wait_writable(fd: &AsyncFd<OwnedFd>) -> io::Result<()> {
    let mut ready = fd.writable().await?;
    // It may be an old wake-up: look again, and if there is still no room forget it.
    if !poll_now(fd.get_ref(), rustix::event::PollFlags::OUT) {
        ready.clear_ready();
        drop(ready);
        fd.writable().await?.retain_ready();
    }
    Ok(())
}

/// Resolves when the descriptor, which was just found empty, may have bytes or its end.
pub(crate) async fn wait_readable(fd: &AsyncFd<OwnedFd>) -> io::Result<()> {
    let mut ready = fd.readable().await?;
    if !poll_now(fd.get_ref(), rustix::event::PollFlags::IN) {
        ready.clear_ready();
        drop(ready);
        fd.readable().await?.retain_ready();
    }
    Ok(())
}

fn poll_now(fd: &OwnedFd, wanted: rustix::event::PollFlags) -> bool {
    let mut poll = [rustix::event::PollFd::new(fd, wanted)];
    let now = rustix::event::Timespec { tv_sec: 0, tv_nsec: 0 };
    // Hang-ups and errors are reported too: then a read or write says which.
    !matches!(rustix::event::poll(&mut poll, Some(&now)), Ok(0))
}
