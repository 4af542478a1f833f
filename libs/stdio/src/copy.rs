//! The copying: a process's output to its place, a client's input to the process.

use crate::sink::{Sink, wait_readable, wait_writable, watched};
use rustix::io::Errno;
use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

/// Bytes moved at a time; the memory is only held while there are bytes. Most writers write little: what is more
/// than that is asked for when there is more to move.
const FIRST_BYTES: usize = 4 * 1024;
const CHUNK_BYTES: usize = 32 * 1024;

/// Copies one output stream until its end. Dropping it stops the copying.
pub struct Output {
    task: JoinHandle<()>,
    drains: mpsc::UnboundedSender<oneshot::Sender<()>>,
    /// Bytes were read that their place has not taken.
    held: Arc<AtomicBool>,
}

impl Output {
    /// Starts copying from a pipe's reading end or a terminal's master.
    pub fn start(from: OwnedFd, to: Sink) -> io::Result<Output> {
        crate::pipe::set_nonblocking(&from)?;
        let from = watched(from, Interest::READABLE)?;
        let (drains, requests) = mpsc::unbounded_channel();
        let held = Arc::new(AtomicBool::new(false));
        let task = tokio::spawn(copy_output(from, Place { to, held: held.clone() }, requests));
        Ok(Output { task, drains, held })
    }

    /// Resolves when the bytes that are in the pipe now have reached their place, or `limit` is up.
    pub async fn drain(&self, limit: Duration) {
        let (done, drained) = oneshot::channel();
        if self.drains.send(done).is_ok() {
            // An error means that the copying has ended: all is drained.
            let _ = tokio::time::timeout(limit, drained).await;
        }
    }

    /// Whether its place does not take what was read: what is still to come would be lost with this.
    pub fn is_held_up(&self) -> bool {
        !self.task.is_finished() && self.held.load(Ordering::Relaxed)
    }

    /// Resolves when the stream has ended or `limit` is up.
    pub async fn ended(&mut self, limit: Duration) {
        if !self.task.is_finished() {
            let _ = tokio::time::timeout(limit, &mut self.task).await;
        }
    }
}

impl Drop for Output {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Where output goes, and whether it waits there.
struct Place {
    to: Sink,
    held: Arc<AtomicBool>,
}

impl Place {
    /// Takes all the bytes; true if it takes no more.
    async fn take(&self, bytes: &[u8]) -> bool {
        self.held.store(true, Ordering::Relaxed);
        let taken = self.to.write_all(bytes).await;
        self.held.store(false, Ordering::Relaxed);
        taken.is_err()
    }
}

async fn copy_output(
    from: AsyncFd<OwnedFd>,
    place: Place,
    mut requests: mpsc::UnboundedReceiver<oneshot::Sender<()>>,
) {
    loop {
        tokio::select! {
            biased;
            Some(done) = requests.recv() => {
                let ends = drain(&from, &place).await;
                let _ = done.send(());
                if ends { break }
            }
            ready = wait_readable(&from) => {
                if ready.is_err() || copy_some(&from, &place, usize::MAX).await { break }
            }
        }
    }
    place.to.finish();
}

/// Copies what is there now; true at the end of the stream.
async fn drain(from: &AsyncFd<OwnedFd>, place: &Place) -> bool {
    let there = rustix::io::ioctl_fionread(from.get_ref()).unwrap_or(0);
    // Nothing there may also mean the end: one read tells.
    copy_some(from, place, (there as usize).max(1)).await
}

/// Copies until there is nothing to read or `enough` bytes were; true at the end of the stream.
async fn copy_some(from: &AsyncFd<OwnedFd>, place: &Place, enough: usize) -> bool {
    let mut chunk = vec![0; FIRST_BYTES];
    let mut copied = 0;
    // One turn moves no more than a full pipe, so that other streams get theirs.
    while copied < enough.min(1 << 20) {
        match rustix::io::read(from.get_ref(), &mut chunk) {
            // A terminal's master fails so when the last slave is closed.
            Ok(0) | Err(Errno::IO) => return true,
            Ok(n) => {
                copied += n;
                if place.take(&chunk[..n]).await {
                    return true;
                }
                if n == FIRST_BYTES && chunk.len() == n {
                    chunk = vec![0; CHUNK_BYTES];
                }
            }
            Err(Errno::INTR) => {}
            Err(Errno::AGAIN) => {
                place.to.rest();
                return false;
            }
            Err(_) => return true,
        }
    }
    false
}

/// Copies a client's input to a process until it is told to close. Dropping it stops at once.
pub struct Input {
    task: JoinHandle<()>,
    close: Option<oneshot::Sender<()>>,
}

impl Input {
    /// Starts copying from a fifo to a pipe's writing end, or to a terminal's master.
    pub fn start(from: OwnedFd, to: OwnedFd) -> io::Result<Input> {
        crate::pipe::set_nonblocking(&to)?;
        let to = Arc::new(watched(to, Interest::WRITABLE | Interest::READABLE)?);
        let (close, closed) = oneshot::channel();
        let task = match watched(from.try_clone()?, Interest::READABLE) {
            Ok(from) => tokio::spawn(copy_input(from, to, closed)),
            // A plain file cannot be waited for, but it never blocks.
            Err(error) if error.raw_os_error() == Some(Errno::PERM.raw_os_error()) => {
                tokio::spawn(async move {
                    copy_file(from, &to).await;
                })
            }
            Err(error) => return Err(error),
        };
        Ok(Input { task, close: Some(close) })
    }

    /// Copies what the client has written so far, then closes the process's end.
    pub fn close(&mut self) {
        if let Some(close) = self.close.take() {
            let _ = close.send(());
        }
    }
}

impl Drop for Input {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn copy_input(from: AsyncFd<OwnedFd>, to: Arc<AsyncFd<OwnedFd>>, mut closed: oneshot::Receiver<()>) {
    let mut closing = false;
    loop {
        tokio::select! {
            biased;
            ready = wait_readable(&from) => if ready.is_err() { return },
            _ = &mut closed, if !closing => closing = true,
        }
        if move_input(from.get_ref(), &to).await || closing {
            return;
        }
    }
}

async fn copy_file(from: OwnedFd, to: &AsyncFd<OwnedFd>) {
    move_input(&from, to).await;
}

/// Moves what is there; true when either side has ended.
async fn move_input(from: &OwnedFd, to: &AsyncFd<OwnedFd>) -> bool {
    let mut chunk = vec![0; FIRST_BYTES];
    loop {
        let count = match rustix::io::read(from, &mut chunk) {
            Ok(0) => return true,
            Ok(count) => count,
            Err(Errno::INTR) => continue,
            Err(Errno::AGAIN) => return false,
            Err(_) => return true,
        };
        let mut bytes = &chunk[..count];
        while !bytes.is_empty() {
            match rustix::io::write(to.get_ref(), bytes) {
                Ok(n) => bytes = &bytes[n..],
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => {
                    if wait_writable(to).await.is_err() {
                        return true;
                    }
                }
                // The process closed its stdin, or is gone.
                Err(_) => return true,
            }
        }
        if count == FIRST_BYTES && chunk.len() == count {
            chunk = vec![0; CHUNK_BYTES];
        }
    }
}
