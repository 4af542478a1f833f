//! Additions to std's Command that need unsafe: descriptors by number.

use std::io;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::os::unix::process::CommandExt;
use std::process::Command;

/// Gives descriptors to the program under fixed numbers; the command owns them until it is dropped.
pub fn pass<const N: usize>(command: &mut Command, descriptors: [(OwnedFd, RawFd); N]) {
    let place = move || {
        // First out of the way: a source may stand on another's number.
        let mut copies = [-1; N];
        for (copy, (fd, _)) in copies.iter_mut().zip(&descriptors) {
            let above = descriptors.iter().map(|(_, number)| number + 1).max().unwrap_or(3);
            // SAFETY: fcntl F_DUPFD_CLOEXEC takes integers only.
            *copy = checked(unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_DUPFD_CLOEXEC, above) })?;
        }
        for (copy, (_, number)) in copies.iter().zip(&descriptors) {
            // SAFETY: dup2 takes integers only; in the child nobody else uses these numbers.
            checked(unsafe { libc::dup2(*copy, *number) })?;
        }
        Ok(())
    };
    // SAFETY: the closure runs between fork and exec; it makes async-signal-safe calls only, and
    // allocates nothing.
    unsafe { command.pre_exec(place) };
}

/// As [`pass`], for any number of descriptors.
pub fn pass_all(command: &mut Command, descriptors: Vec<(OwnedFd, RawFd)>) {
    let above = descriptors.iter().map(|(_, number)| number + 1).max().unwrap_or(3);
    // Room for the copies, made here: the child must not allocate.
    let mut copies: Vec<RawFd> = vec![-1; descriptors.len()];
    let place = move || {
        for (copy, (fd, _)) in copies.iter_mut().zip(&descriptors) {
            // SAFETY: fcntl F_DUPFD_CLOEXEC takes integers only.
            *copy = checked(unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_DUPFD_CLOEXEC, above) })?;
        }
        for (copy, (_, number)) in copies.iter().zip(&descriptors) {
            // SAFETY: dup2 takes integers only; in the child nobody else uses these numbers.
            checked(unsafe { libc::dup2(*copy, *number) })?;
        }
        Ok(())
    };
    // SAFETY: the closure runs between fork and exec; it makes async-signal-safe calls only, and
    // allocates nothing.
    unsafe { command.pre_exec(place) };
}

/// Gives the program another soft limit of open descriptors than this process has, which must not be above the
/// hard one (setrlimit(2)).
pub fn limit_descriptors(command: &mut Command, soft: u64) {
    let limit = move || {
        let mut limits = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
        // SAFETY: the kernel fills the structure, which outlives the call.
        checked(unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limits) })?;
        limits.rlim_cur = soft;
        // SAFETY: the kernel reads the structure, which outlives the call.
        checked(unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limits) })?;
        Ok(())
    };
    // SAFETY: the closure runs between fork and exec; it makes system calls only, and allocates nothing.
    unsafe { command.pre_exec(limit) };
}

fn checked(result: libc::c_int) -> io::Result<libc::c_int> {
    if result == -1 { Err(io::Error::last_os_error()) } else { Ok(result) }
}
