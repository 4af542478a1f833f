//! Descriptors by number: those that a parent passed, and the closing of all the rest.

use std::io;
use std::os::fd::{BorrowedFd, FromRawFd, OwnedFd, RawFd};

/// What close_range(2) does to a descriptor.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Closing {
    /// Closed now.
    Now,
    /// Closed by the next exec.
    OnExec,
}

/// Closes every descriptor from `first` up.
///
/// With [`Closing::Now`] only call this where no owner of such a descriptor is used again
/// (right before an exec or an exit).
pub fn close_from(first: RawFd, closing: Closing) -> io::Result<()> {
    close_range(first, RawFd::MAX, closing)
}

/// As [`close_from`], up to `last`; an empty range closes nothing.
pub fn close_range(first: RawFd, last: RawFd, closing: Closing) -> io::Result<()> {
    if first > last {
        return Ok(());
    }
    let flags = match closing {
        Closing::Now => 0,
        Closing::OnExec => libc::CLOSE_RANGE_CLOEXEC,
    };
    // SAFETY: takes integers only.
    let result =
        unsafe { libc::syscall(libc::SYS_close_range, first as libc::c_uint, last as libc::c_uint, flags) };
    match result {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Takes over an open descriptor that this process was started with; `None` if it is not open.
///
/// Call it at most once a number.
pub fn inherited(number: RawFd) -> Option<OwnedFd> {
    if number < 0 {
        return None;
    }
    // SAFETY: fcntl F_GETFD takes integers only; on success the number is open, and the caller
    // promises that nobody else owns it.
    unsafe { (libc::fcntl(number, libc::F_GETFD) != -1).then(|| OwnedFd::from_raw_fd(number)) }
}

/// Whether a descriptor is open that came with the program: one that closes on exec was opened since.
pub fn is_passed(number: RawFd) -> bool {
    // SAFETY: fcntl F_GETFD takes integers only.
    unsafe { libc::fcntl(number, libc::F_GETFD) == 0 }
}

/// Sets or clears close-on-exec of a descriptor number; does nothing if it is not open.
pub fn set_close_on_exec(number: RawFd, on: bool) {
    // SAFETY: fcntl F_SETFD takes integers only.
    unsafe { libc::fcntl(number, libc::F_SETFD, if on { libc::FD_CLOEXEC } else { 0 }) };
}

/// A borrowed view of the process's own standard stream 0, 1 or 2.
pub fn standard(stream: RawFd) -> BorrowedFd<'static> {
    assert!((0..=2).contains(&stream), "not a standard stream");
    // SAFETY: the standard streams live as long as the process: std opens /dev/null on those
    // that are closed at start, and nothing of ours closes them.
    unsafe { BorrowedFd::borrow_raw(stream) }
}
