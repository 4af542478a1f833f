//! Replacing the program of this process.

use std::convert::Infallible;
use std::ffi::{CStr, CString};
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::ptr;

/// execve(2): returns only with an error.
pub fn execve(path: &CStr, args: &[CString], env: &[CString]) -> io::Result<Infallible> {
    let argv = pointers(args);
    let envp = pointers(env);
    // SAFETY: both arrays end with a null pointer and point into strings that outlive the call.
    unsafe { libc::execve(path.as_ptr(), argv.as_ptr(), envp.as_ptr()) };
    Err(io::Error::last_os_error())
}

/// execveat(2) of an open file, with this process's own environment: returns only with an error.
pub fn exec_descriptor(file: BorrowedFd<'_>, args: &[CString], env: &[CString]) -> io::Result<Infallible> {
    let argv = pointers(args);
    let envp = pointers(env);
    // SAFETY: as in execve; the path is the empty string and AT_EMPTY_PATH names the descriptor.
    unsafe {
        libc::syscall(
            libc::SYS_execveat,
            file.as_raw_fd(),
            c"".as_ptr(),
            argv.as_ptr(),
            envp.as_ptr(),
            libc::AT_EMPTY_PATH,
        )
    };
    Err(io::Error::last_os_error())
}

fn pointers(strings: &[CString]) -> Vec<*const libc::c_char> {
    strings.iter().map(|s| s.as_ptr()).chain([ptr::null()]).collect()
}
