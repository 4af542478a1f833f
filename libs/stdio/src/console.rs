//! The console socket, on which a runtime hands over a terminal's master.

use rustix::io::IoSliceMut;
use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, recvmsg};
use rustix::termios::{Winsize, tcsetwinsize};
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;
use tokio::io::Interest;
use tokio::net::UnixListener;

/// A listening socket in a directory of its own, which goes with it.
pub struct ConsoleSocket {
    listener: UnixListener,
    directory: PathBuf,
    path: PathBuf,
}

impl ConsoleSocket {
    /// Binds a socket of a short path below `base` (socket addresses hold 107 bytes).
    pub fn bind(base: &Path) -> io::Result<ConsoleSocket> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        loop {
            let number = COUNT.fetch_add(1, Ordering::Relaxed);
            let directory = base.join(format!("pty{}-{number}", std::process::id()));
            match std::fs::DirBuilder::new().mode(0o700).create(&directory) {
                Ok(()) => {}
                // Left by a process of the same number: not ours to judge.
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => continue,
                Err(error) => return Err(error),
            }
            let path = directory.join("s");
            return match UnixListener::bind(&path) {
                Ok(listener) => Ok(ConsoleSocket { listener, directory, path }),
                Err(error) => {
                    let _ = std::fs::remove_dir(&directory);
                    Err(error)
                }
            };
        }
    }

    /// What the runtime is told.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Takes the master that the runtime sends.
    pub async fn master(&self, limit: Duration) -> io::Result<OwnedFd> {
        let received = async {
            let (stream, _) = self.listener.accept().await?;
            stream.async_io(Interest::READABLE, || receive(stream.as_fd())).await
        };
        tokio::time::timeout(limit, received).await.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
    }
}

impl Drop for ConsoleSocket {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.path);
        let _ = std::fs::remove_dir(&self.directory);
    }
}

fn receive(socket: impl AsFd) -> io::Result<OwnedFd> {
    let mut name = [0; 4096];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    recvmsg(socket, &mut [IoSliceMut::new(&mut name)], &mut control, RecvFlags::CMSG_CLOEXEC)?;
    for message in control.drain() {
        if let RecvAncillaryMessage::ScmRights(mut fds) = message
            && let Some(fd) = fds.next()
        {
            return Ok(fd);
        }
    }
    Err(io::Error::new(io::ErrorKind::InvalidData, "no terminal came over the console socket"))
}

/// Sets a terminal's size in characters.
pub fn resize(master: impl AsFd, columns: u16, rows: u16) -> io::Result<()> {
    Ok(tcsetwinsize(master, Winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 })?)
}
