//! seccomp(2): installing a filter on the calling thread.

use std::io;
use std::os::fd::{FromRawFd, OwnedFd, RawFd};

/// One classic BPF instruction, `struct sock_filter` of linux/filter.h.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Instruction {
    pub code: u16,
    /// Instructions to skip when the comparison holds.
    pub jt: u8,
    /// Instructions to skip when it does not.
    pub jf: u8,
    pub k: u32,
}

/// SECCOMP_FILTER_FLAG_NEW_LISTENER of linux/seccomp.h.
pub const NEW_LISTENER: u32 = 1 << 3;

/// Installs `program` with SECCOMP_SET_MODE_FILTER and SECCOMP_FILTER_FLAG_* in `flags`.
///
/// Returns the listener (close-on-exec) when `flags` has [`NEW_LISTENER`].
///
/// Errors: EACCES without CAP_SYS_ADMIN and without no_new_privs, EINVAL for a bad program or
/// flag, EBUSY when a listener exists already.
pub fn set_filter(flags: u32, program: &[Instruction]) -> io::Result<Option<OwnedFd>> {
    let len = u16::try_from(program.len()).map_err(|_| io::Error::from_raw_os_error(libc::EINVAL))?;
    let header = libc::sock_fprog { len, filter: program.as_ptr().cast::<libc::sock_filter>().cast_mut() };
    // SAFETY: `header` lives across the call and points at `len` initialised instructions of
    // `program`, whose layout is that of sock_filter; the kernel copies and does not write them.
    let result =
        unsafe { libc::syscall(libc::SYS_seccomp, libc::SECCOMP_SET_MODE_FILTER, flags, &raw const header) };
    if result < 0 {
        return Err(io::Error::last_os_error());
    }
    if flags & NEW_LISTENER == 0 {
        return Ok(None);
    }
    // SAFETY: with NEW_LISTENER a non-negative result is a new descriptor that nobody else owns.
    Ok(Some(unsafe { OwnedFd::from_raw_fd(result as RawFd) }))
}

/// Whether the running kernel knows a return action (SECCOMP_GET_ACTION_AVAIL).
pub fn action_available(action: u32) -> bool {
    // SAFETY: the kernel reads one u32 that lives across the call.
    let result =
        unsafe { libc::syscall(libc::SYS_seccomp, libc::SECCOMP_GET_ACTION_AVAIL, 0, &raw const action) };
    result == 0
}

/// Whether the running kernel knows all the SECCOMP_FILTER_FLAG_* in `flags`.
///
/// Asks with a null program: a known flag fails with EFAULT, an unknown one with EINVAL.
pub fn flags_available(flags: u32) -> bool {
    let none: *const libc::sock_fprog = std::ptr::null();
    // SAFETY: a null program is never read; the call fails in every case.
    let result = unsafe { libc::syscall(libc::SYS_seccomp, libc::SECCOMP_SET_MODE_FILTER, flags, none) };
    result < 0 && io::Error::last_os_error().raw_os_error() == Some(libc::EFAULT)
}
