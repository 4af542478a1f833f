//! Telling the caller of a new process.

use std::path::Path;

use rustix::process::{Pid, PidfdFlags, pidfd_open};

use super::{Streams, console};
use crate::failure::{Failure, Tried};

/// Tells the caller of the process, in the ways it asked for.
pub fn announce(streams: &Streams, pid: Pid) -> Result<(), Failure> {
    if let Some(path) = &streams.pid_file {
        write_pid_file(path, pid.as_raw_nonzero().get())?;
    }
    if let Some(path) = &streams.pidfd_socket {
        send_pidfd(path, pid)?;
    }
    Ok(())
}

/// Sends a descriptor of the process to a unix socket.
pub fn send_pidfd(socket: &Path, pid: Pid) -> Result<(), Failure> {
    let pidfd = pidfd_open(pid, PidfdFlags::empty()).tried("cannot open pidfd")?;
    console::send_pidfd(socket, pidfd)
}

/// Writes a process id where the caller wants it, whole or not at all.
fn write_pid_file(path: &Path, pid: i32) -> Result<(), Failure> {
    let name = path.file_name().map(|name| name.to_string_lossy()).unwrap_or_default();
    let new = path.with_file_name(format!(".{name}"));
    std::fs::write(&new, pid.to_string())
        .and_then(|()| std::fs::rename(&new, path))
        .tried(format!("cannot write {}", path.display()))
}
