//! Pipes between the keeper and a process.

use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
use rustix::pipe::{PipeFlags, pipe_with};
use std::io;
use std::os::fd::{AsFd, OwnedFd};

/// Both ends, close-on-exec. Only the keeper's end is made non-blocking, by whoever copies.
pub struct Pipe {
    /// Where bytes come out.
    pub read: OwnedFd,
    /// Where bytes go in.
    pub write: OwnedFd,
}

/// Makes a pipe; with an owner other than root it is given to that user and group, who may then
/// open it anew through /proc.
pub fn pipe(owner: Option<(u32, u32)>) -> io::Result<Pipe> {
    let (read, write) = pipe_with(PipeFlags::CLOEXEC)?;
    if let Some((uid, gid)) = owner {
        let (uid, gid) = (rustix::fs::Uid::from_raw(uid), rustix::fs::Gid::from_raw(gid));
        rustix::fs::fchown(&read, Some(uid), Some(gid))?;
        rustix::fs::fchown(&write, Some(uid), Some(gid))?;
    }
    Ok(Pipe { read, write })
}

pub(crate) fn set_nonblocking(fd: impl AsFd) -> io::Result<()> {
    let flags = fcntl_getfl(&fd)?;
    fcntl_setfl(&fd, flags | OFlags::NONBLOCK)?;
    Ok(())
}
