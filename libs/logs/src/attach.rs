//! The attach socket: every reader gets the bytes as the container writes them, from the moment
//! of joining, in Docker's framing.
//!
//! A frame is `[stream, 0, 0, 0, length u32 BE]` and the bytes. The first frame of a reader has
//! stream 0 and no bytes: all that is written after it arrives.

use crate::Stream;
use rustix::fs::{Mode, OFlags};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::Notify;
use tokio::task::AbortHandle;

/// What may wait for one slow reader; with more, the container waits.
const BACKLOG_BYTES: usize = 256 * 1024;
/// The longest path that fits a socket address.
const MAX_PATH_BYTES: usize = 107;
const JOINED: [u8; 8] = [0; 8];
/// How long readers have at the end to take what is left.
const FAREWELL: Duration = Duration::from_secs(5);

/// The socket and its readers.
pub(crate) struct Hub {
    path: PathBuf,
    peers: Arc<Mutex<Vec<Arc<Peer>>>>,
    acceptor: AbortHandle,
}

struct Peer {
    stream: UnixStream,
    backlog: Mutex<Vec<u8>>,
    /// Something was added to the backlog, or the end has come.
    filled: Notify,
    /// The backlog got shorter, or the peer went.
    drained: Notify,
    gone: AtomicBool,
    closing: AtomicBool,
}

impl Hub {
    /// Binds the socket, mode 0600, in place of a stale one. Call it inside a tokio runtime.
    pub(crate) fn bind(path: &Path) -> io::Result<Hub> {
        let listener = bind(path)?;
        let peers = Arc::new(Mutex::new(Vec::new()));
        let acceptor = tokio::spawn(accept(listener, peers.clone())).abort_handle();
        Ok(Hub { path: path.to_owned(), peers, acceptor })
    }

    /// Queues bytes for every reader.
    pub(crate) fn send(&self, stream: Stream, bytes: &[u8]) {
        let mut peers = lock(&self.peers);
        if peers.is_empty() {
            return;
        }
        let mut head = [stream as u8, 0, 0, 0, 0, 0, 0, 0];
        head[4..].copy_from_slice(&(bytes.len() as u32).to_be_bytes());
        peers.retain(|peer| !peer.gone.load(Ordering::Relaxed));
        for peer in peers.iter() {
            peer.send(&head, bytes);
        }
    }

    /// Resolves when no reader is too far behind.
    pub(crate) async fn room(&self) {
        let peers: Vec<_> = {
            let peers = lock(&self.peers);
            if peers.iter().all(|peer| peer.has_room()) {
                return;
            }
            peers.clone()
        };
        for peer in peers {
            loop {
                let drained = peer.drained.notified();
                tokio::pin!(drained);
                drained.as_mut().enable();
                if peer.has_room() {
                    break;
                }
                drained.await;
            }
        }
    }

    /// Gives readers what is left for them, then ends their connections and the socket.
    pub(crate) async fn close(&self) {
        self.acceptor.abort();
        let _ = std::fs::remove_file(&self.path);
        let peers = std::mem::take(&mut *lock(&self.peers));
        for peer in &peers {
            peer.closing.store(true, Ordering::Relaxed);
            peer.filled.notify_one();
        }
        let all_gone = async {
            for peer in &peers {
                loop {
                    let drained = peer.drained.notified();
                    tokio::pin!(drained);
                    drained.as_mut().enable();
                    if peer.gone.load(Ordering::Relaxed) {
                        break;
                    }
                    drained.await;
                }
            }
        };
        let _ = tokio::time::timeout(FAREWELL, all_gone).await;
    }
}

impl Drop for Hub {
    fn drop(&mut self) {
        self.acceptor.abort();
        let _ = std::fs::remove_file(&self.path);
    }
}

impl Peer {
    fn send(&self, head: &[u8], bytes: &[u8]) {
        let mut backlog = lock(&self.backlog);
        let total = head.len() + bytes.len();
        let mut sent = 0;
        if backlog.is_empty() {
            match self.stream.try_write_vectored(&[io::IoSlice::new(head), io::IoSlice::new(bytes)]) {
                Ok(n) => sent = n,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(_) => self.gone.store(true, Ordering::Relaxed),
            }
        }
        if sent < total && !self.gone.load(Ordering::Relaxed) {
            backlog.extend_from_slice(&head[sent.min(head.len())..]);
            backlog.extend_from_slice(&bytes[sent.saturating_sub(head.len())..]);
        }
        if sent < total {
            self.filled.notify_one();
        }
    }

    fn has_room(&self) -> bool {
        self.gone.load(Ordering::Relaxed) || lock(&self.backlog).len() <= BACKLOG_BYTES
    }

    /// Writes the backlog whenever there is one; ends with the peer or at the close.
    async fn run(self: Arc<Self>) {
        while !self.gone.load(Ordering::Relaxed) {
            if lock(&self.backlog).is_empty() {
                if self.closing.load(Ordering::Relaxed) {
                    break;
                }
                tokio::select! {
                    () = self.filled.notified() => {}
                    () = self.hung_up() => break,
                }
                continue;
            }
            if self.stream.writable().await.is_err() || self.write_some().is_err() {
                break;
            }
            self.drained.notify_waiters();
        }
        self.gone.store(true, Ordering::Relaxed);
        // The hub may hold this peer until the next write: end the connection now.
        let _ = rustix::net::shutdown(&self.stream, rustix::net::Shutdown::Both);
        self.drained.notify_waiters();
    }

    fn write_some(&self) -> io::Result<()> {
        let mut backlog = lock(&self.backlog);
        match self.stream.try_write(&backlog) {
            Ok(n) if n == backlog.len() => *backlog = Vec::new(),
            Ok(n) => drop(backlog.drain(..n)),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
        Ok(())
    }

    /// Resolves when the reader closed its end. What it writes means nothing and is read away.
    async fn hung_up(&self) {
        loop {
            if self.stream.readable().await.is_err() {
                return;
            }
            match self.stream.try_read(&mut [0; 256]) {
                Ok(0) => return,
                Err(error) if error.kind() != io::ErrorKind::WouldBlock => return,
                _ => {}
            }
        }
    }
}

async fn accept(listener: UnixListener, peers: Arc<Mutex<Vec<Arc<Peer>>>>) {
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            tokio::time::sleep(Duration::from_millis(50)).await;
            continue;
        };
        let peer = Arc::new(Peer {
            stream,
            backlog: Mutex::new(Vec::new()),
            filled: Notify::new(),
            drained: Notify::new(),
            gone: AtomicBool::new(false),
            closing: AtomicBool::new(false),
        });
        peer.send(&JOINED, &[]);
        let mut peers = lock(&peers);
        peers.retain(|peer| !peer.gone.load(Ordering::Relaxed));
        peers.push(peer.clone());
        tokio::spawn(peer.run());
    }
}

fn bind(path: &Path) -> io::Result<UnixListener> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let listener = if path.as_os_str().len() <= MAX_PATH_BYTES {
        UnixListener::bind(path)?
    } else {
        let (Some(directory), Some(name)) = (path.parent(), path.file_name()) else {
            return Err(io::ErrorKind::InvalidInput.into());
        };
        let directory = rustix::fs::open(directory, OFlags::PATH | OFlags::CLOEXEC, Mode::empty())?;
        UnixListener::bind(Path::new(&format!("/proc/self/fd/{}", directory.as_raw_fd())).join(name))?
    };
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))?;
    Ok(listener)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
