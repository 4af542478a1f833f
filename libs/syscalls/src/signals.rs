//! Signals taken as data (signalfd(2)) and signal state given back to defaults.

use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{FromRawFd, OwnedFd};

use crate::image;

/// Blocks every signal that can be blocked and returns a descriptor that reads them as
/// `signalfd_siginfo` records.
pub fn take_all() -> io::Result<OwnedFd> {
    let mut set = MaybeUninit::<libc::sigset_t>::uninit();
    // SAFETY: sigfillset initialises the set before it is used; the descriptor returned is new.
    unsafe {
        libc::sigfillset(set.as_mut_ptr());
        if libc::sigprocmask(libc::SIG_SETMASK, set.as_ptr(), std::ptr::null_mut()) == -1 {
            return Err(io::Error::last_os_error());
        }
        match libc::signalfd(-1, set.as_ptr(), libc::SFD_CLOEXEC | libc::SFD_NONBLOCK) {
            -1 => Err(io::Error::last_os_error()),
            fd => Ok(OwnedFd::from_raw_fd(fd)),
        }
    }
}

/// Unblocks every signal and gives SIGPIPE, which Rust's start ignores, its default action back.
pub fn reset() {
    let mut set = MaybeUninit::<libc::sigset_t>::uninit();
    // SAFETY: the set is initialised before use; SIG_DFL is a valid handler.
    unsafe {
        libc::signal(libc::SIGPIPE, libc::SIG_DFL);
        libc::sigemptyset(set.as_mut_ptr());
        libc::sigprocmask(libc::SIG_SETMASK, set.as_ptr(), std::ptr::null_mut());
    }
}

/// Gives the signals that the caller of this program ignores their default action back, which an
/// ignored one keeps through exec(2): a program of somebody else's counts on it.
///
/// But for SIGHUP and SIGINT, which nohup(1) and shells ignore for whatever is started below them, and
/// SIGPIPE, which is [`reset`]'s.
pub fn heed_ignored() -> io::Result<()> {
    const KEPT: [i32; 3] = [libc::SIGHUP, libc::SIGINT, libc::SIGPIPE];
    let ignored = image::ignored_signals()?;
    for number in (1..=31).filter(|number| ignored & (1 << (number - 1)) != 0 && !KEPT.contains(number)) {
        // SAFETY: SIG_DFL is a valid handler.
        unsafe { libc::signal(number, libc::SIG_DFL) };
    }
    Ok(())
}

/// Ends this process at the signals by which one asks a program to end. The kernel spares the
/// first process of a pid namespace from signals that it has no handler for.
pub fn end_when_asked() {
    extern "C" fn end(number: libc::c_int) {
        // SAFETY: async-signal-safe, takes an integer.
        unsafe { libc::_exit(128 + number) }
    }
    for number in [libc::SIGTERM, libc::SIGINT, libc::SIGHUP, libc::SIGQUIT] {
        // SAFETY: the handler has the right signature and calls nothing but _exit.
        unsafe { libc::signal(number, end as *const () as libc::sighandler_t) };
    }
}

/// Sends signal `number` to `pid`; negative ids mean a group as in kill(2).
pub fn kill(pid: i32, number: i32) -> io::Result<()> {
    // SAFETY: takes integers only.
    match unsafe { libc::kill(pid, number) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// pidfd_send_signal(2).
pub fn kill_by_pidfd(pidfd: std::os::fd::BorrowedFd<'_>, number: i32) -> io::Result<()> {
    use std::os::fd::AsRawFd;
    // SAFETY: takes integers and a null siginfo.
    let result = unsafe {
        libc::syscall(
            libc::SYS_pidfd_send_signal,
            pidfd.as_raw_fd(),
            number,
            std::ptr::null::<libc::siginfo_t>(),
            0,
        )
    };
    match result {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}
