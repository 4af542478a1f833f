//! clone3(2) without shared memory: a fork that takes namespace flags.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

use rustix::process::Pid;

/// linux/sched.h; libc's constant of this name overflows.
const CLONE_INTO_CGROUP: u64 = 0x2_0000_0000;

/// What the child starts with.
#[derive(Default)]
pub struct Request<'a> {
    /// `CLONE_NEW*` and `CLONE_PARENT`; nothing that shares memory.
    pub flags: u64,
    /// The v2 cgroup the child starts in (`CLONE_INTO_CGROUP`).
    pub cgroup: Option<BorrowedFd<'a>>,
    /// Whether a pidfd is wanted.
    pub pidfd: bool,
}

/// Which side of the clone runs on.
pub enum Side {
    /// The caller, with the child's process id in the caller's pid namespace.
    Parent { pid: Pid, pidfd: Option<OwnedFd> },
    /// The new process, with a copy of the caller's memory and descriptors.
    Child,
}

/// Clones a process that has no other thread.
///
/// The child may allocate and run any code: with one thread no lock can be held by another.
/// clone3(2). Fails with EINVAL when `flags` asks for shared memory.
pub fn clone3(request: &Request<'_>) -> io::Result<Side> {
    let shared = (libc::CLONE_VM | libc::CLONE_THREAD | libc::CLONE_SIGHAND | libc::CLONE_VFORK) as u64;
    if request.flags & shared != 0 {
        return Err(io::Error::from_raw_os_error(libc::EINVAL));
    }
    let mut pidfd: libc::c_int = -1;
    // SAFETY: clone_args is plain integers, for which zero is valid.
    let mut args: libc::clone_args = unsafe { std::mem::zeroed() };
    args.flags = request.flags;
    // With CLONE_PARENT the exit signal is the caller's own and must be 0 here.
    if request.flags & libc::CLONE_PARENT as u64 == 0 {
        args.exit_signal = libc::SIGCHLD as u64;
    }
    if request.pidfd {
        args.flags |= libc::CLONE_PIDFD as u64;
        args.pidfd = &raw mut pidfd as u64;
    }
    if let Some(cgroup) = request.cgroup {
        args.flags |= CLONE_INTO_CGROUP;
        args.cgroup = cgroup.as_raw_fd() as u64;
    }
    // SAFETY: args outlives the call and its only pointer is to `pidfd`, which does too. Without
    // CLONE_VM and a new stack the child goes on with a private copy of this one.
    let result =
        unsafe { libc::syscall(libc::SYS_clone3, &raw const args, std::mem::size_of::<libc::clone_args>()) };
    match result {
        -1 => Err(io::Error::last_os_error()),
        0 => Ok(Side::Child),
        pid => Ok(Side::Parent {
            pid: Pid::from_raw(pid as i32).ok_or_else(|| io::Error::from_raw_os_error(libc::ESRCH))?,
            // SAFETY: the kernel has just made this descriptor for us and nobody else knows it.
            pidfd: request.pidfd.then(|| unsafe { OwnedFd::from_raw_fd(pidfd) }),
        }),
    }
}

/// fork(2) by the C library, which knows of the child: for one that lives on and makes threads.
///
/// As with [`clone3`], only a process that has no other thread may run any code in its child.
pub fn fork() -> io::Result<Side> {
    // SAFETY: takes nothing; with one thread no lock of the parent's stays held in the child.
    match unsafe { libc::fork() } {
        -1 => Err(io::Error::last_os_error()),
        0 => Ok(Side::Child),
        pid => {
            let pid = Pid::from_raw(pid).ok_or_else(|| io::Error::from_raw_os_error(libc::ESRCH))?;
            Ok(Side::Parent { pid, pidfd: None })
        }
    }
}

/// unshare(2) for a process that has one thread and whose descriptors stay its own.
pub fn unshare(namespaces: u64) -> io::Result<()> {
    // SAFETY: only CLONE_NEW* flags have a meaning for us; the call touches no memory of ours.
    match unsafe { libc::unshare(namespaces as libc::c_int) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// setns(2) with the namespace kinds of `flags`, by a namespace file or a pidfd.
pub fn setns(fd: BorrowedFd<'_>, flags: u64) -> io::Result<()> {
    // SAFETY: takes integers only.
    match unsafe { libc::setns(fd.as_raw_fd(), flags as libc::c_int) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Ends this process at once, without running destructors or flushing anything.
pub fn exit_now(code: i32) -> ! {
    // SAFETY: _exit(2) never returns and needs nothing.
    unsafe { libc::_exit(code) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shared_memory_is_refused() {
        let request = Request { flags: libc::CLONE_VM as u64, ..Request::default() };
        let Err(error) = clone3(&request) else { panic!("cloned") };
        assert_eq!(error.raw_os_error(), Some(libc::EINVAL));
    }
}
