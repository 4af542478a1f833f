//! mount_setattr(2).

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

/// What changes on a mount; the bits are `MOUNT_ATTR_*`, the propagation one of `MS_*`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Change {
    pub set: u64,
    pub clear: u64,
    /// `MS_PRIVATE`, `MS_SLAVE`, `MS_SHARED`, `MS_UNBINDABLE`, or 0 for no change.
    pub propagation: u64,
}

/// Changes the mount that `mount` is the root of, and with `recursive` all below it, in one step.
///
/// `user_namespace` maps the ids of a mount that is not attached anywhere (`MOUNT_ATTR_IDMAP`).
pub fn mount_setattr(
    mount: BorrowedFd<'_>,
    change: Change,
    recursive: bool,
    user_namespace: Option<BorrowedFd<'_>>,
) -> io::Result<()> {
    let mut attr = libc::mount_attr {
        attr_set: change.set,
        attr_clr: change.clear,
        propagation: change.propagation,
        userns_fd: 0,
    };
    if let Some(fd) = user_namespace {
        attr.attr_set |= libc::MOUNT_ATTR_IDMAP;
        attr.userns_fd = fd.as_raw_fd() as u64;
    }
    let mut flags = libc::AT_EMPTY_PATH;
    if recursive {
        flags |= libc::AT_RECURSIVE;
    }
    // SAFETY: the path is a static string and `attr` outlives the call, its size is given.
    let result = unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            mount.as_raw_fd(),
            c"".as_ptr(),
            flags,
            &raw const attr,
            std::mem::size_of::<libc::mount_attr>(),
        )
    };
    match result {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// pivot_root(2) of the current directory onto itself: the old root ends up stacked on top.
pub fn pivot_to_current_directory() -> io::Result<()> {
    // SAFETY: both paths are static strings.
    match unsafe { libc::syscall(libc::SYS_pivot_root, c".".as_ptr(), c".".as_ptr()) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}
