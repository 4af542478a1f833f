//! Session keyrings, keyctl(2).

use std::ffi::CStr;
use std::io;

const JOIN_SESSION_KEYRING: libc::c_long = 1;

/// Joins the session keyring called `name`, made if it does not exist.
pub fn join_session(name: &CStr) -> io::Result<()> {
    // SAFETY: `name` outlives the call.
    match unsafe { libc::syscall(libc::SYS_keyctl, JOIN_SESSION_KEYRING, name.as_ptr()) } {
        -1 => Err(io::Error::last_os_error()),
        _ => Ok(()),
    }
}
