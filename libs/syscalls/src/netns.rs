//! Network namespaces of single threads, and netlink's own socket options.

use std::os::fd::{AsFd, AsRawFd};

use rustix::io::{Errno, Result};
use rustix::thread::UnshareFlags;

/// Moves the calling thread into a new network namespace (unshare(2), `CLONE_NEWNET`). Other
/// threads stay where they are: call it on a thread made for the purpose.
///
/// # Errors
/// `EPERM` without `CAP_SYS_ADMIN`, `ENOSPC` at the user namespace's limit.
pub fn unshare_network() -> Result<()> {
    // SAFETY: what makes unshare unsafe is CLONE_FILES, which splits descriptor tables between
    // threads; NEWNET touches only the thread's nsproxy.
    unsafe { rustix::thread::unshare_unsafe(UnshareFlags::NEWNET) }
}

/// Switches a boolean option of level `SOL_NETLINK` on (netlink(7)), such as
/// `NETLINK_EXT_ACK` (11) or `NETLINK_GET_STRICT_CHK` (12).
///
/// # Errors
/// `ENOPROTOOPT` when the kernel does not know the option.
pub fn enable_netlink_option<Fd: AsFd>(socket: Fd, option: i32) -> Result<()> {
    let one: libc::c_int = 1;
    // SAFETY: the pointer is to a live local of exactly the length passed, and the kernel only
    // reads it during the call.
    let result = unsafe {
        libc::setsockopt(
            socket.as_fd().as_raw_fd(),
            libc::SOL_NETLINK,
            option,
            (&raw const one).cast(),
            size_of::<libc::c_int>() as libc::socklen_t,
        )
    };
    if result == 0 {
        Ok(())
    } else {
        Err(Errno::from_io_error(&std::io::Error::last_os_error()).unwrap_or(Errno::INVAL))
    }
}
