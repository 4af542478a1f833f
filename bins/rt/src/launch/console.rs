//! Who gets the terminal's master.

use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::Path;

use super::Streams;
use super::channel::send_with;
use crate::failure::{Failure, Tried};

/// Checks that the options fit together, with runc's texts, and connects to the caller's socket.
fn connect(streams: &Streams, terminal: bool) -> Result<Option<OwnedFd>, Failure> {
    match (&streams.console_socket, terminal, streams.detach) {
        (None, true, true) => {
            Err(Failure::new("cannot allocate tty if runc will detach without setting console socket"))
        }
        (Some(_), _, false) | (Some(_), false, true) => {
            Err(Failure::new("cannot use console socket if runc will not detach or allocate tty"))
        }
        (Some(path), true, true) => {
            let socket = UnixStream::connect(path)
                .tried(format!("cannot connect to console socket {}", path.display()))?;
            Ok(Some(socket.into()))
        }
        (None, _, _) => Ok(None),
    }
}

/// The sockets that the terminal's master goes over: the end that stays with a runtime which stays
/// itself, and the end for the process.
pub fn sockets(streams: &Streams, terminal: bool) -> Result<(Option<OwnedFd>, Option<OwnedFd>), Failure> {
    match connect(streams, terminal)? {
        None if terminal => {
            let (ours, theirs) = UnixStream::pair().tried("cannot make a socket")?;
            Ok((Some(ours.into()), Some(theirs.into())))
        }
        socket => Ok((None, socket)),
    }
}

/// Sends the master away over a socket.
pub fn send_master(socket: impl AsFd, master: impl AsFd) -> Result<(), Failure> {
    send_with(socket.as_fd(), b"/dev/ptmx", Some(master.as_fd()))
        .tried("cannot send the terminal over the console socket")
}

/// Sends a pidfd to a socket that a caller named.
pub fn send_pidfd(path: &Path, pidfd: impl AsFd) -> Result<(), Failure> {
    let socket =
        UnixStream::connect(path).tried(format!("cannot connect to pidfd socket {}", path.display()))?;
    send_with(socket.as_fd(), b"pidfd", Some(pidfd.as_fd())).tried("cannot send the pidfd")
}
