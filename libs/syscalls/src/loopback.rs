//! The loopback device of this network namespace, netdevice(7).

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

/// Sets `lo` up through any inet or netlink-capable socket of the namespace.
pub fn set_up(socket: BorrowedFd<'_>) -> io::Result<()> {
    // SAFETY: ifreq is plain integers and a union of them, for which zero is valid.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    for (to, from) in request.ifr_name.iter_mut().zip(b"lo") {
        *to = *from as libc::c_char;
    }
    request.ifr_ifru.ifru_flags = (libc::IFF_UP | libc::IFF_RUNNING) as libc::c_short;
    // SAFETY: SIOCSIFFLAGS reads an ifreq, which outlives the call.
    match unsafe { libc::ioctl(socket.as_raw_fd(), libc::SIOCSIFFLAGS as _, &raw const request) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}
