//! The host's procfs, opened before anything of the container's is in sight.

use std::io::{self, Write};
use std::os::fd::{AsRawFd, OwnedFd, RawFd};

use rustix::fs::{self, CWD, Mode, OFlags, ResolveFlags};

use crate::failure::{Failure, Tried};

/// A handle on `/proc` that no mount of a container can stand in for (CVE-2025-52881).
#[derive(Debug)]
pub struct Procfs {
    root: OwnedFd,
}

impl AsRawFd for Procfs {
    fn as_raw_fd(&self) -> RawFd {
        self.root.as_raw_fd()
    }
}

impl Procfs {
    /// Opens `/proc` and makes sure that it is one.
    pub fn open() -> Result<Procfs, Failure> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let root = fs::openat(CWD, "/proc", flags, Mode::empty()).tried("cannot open /proc")?;
        let kind = fs::fstatfs(&root).tried("cannot open /proc")?.f_type;
        if kind as i64 != libc::PROC_SUPER_MAGIC {
            return Err(Failure::new("cannot open /proc: not a procfs"));
        }
        Ok(Procfs { root })
    }

    /// Writes a file in one go. `path` is relative; links other than `self` are refused, and so
    /// is whatever is mounted below.
    pub fn write(&self, path: &str, text: &str) -> io::Result<()> {
        let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_XDEV | ResolveFlags::NO_MAGICLINKS;
        let flags = OFlags::WRONLY | OFlags::CLOEXEC;
        let file = fs::openat2(&self.root, path, flags, Mode::empty(), resolve)?;
        std::fs::File::from(file).write_all(text.as_bytes())
    }

    /// Writes a file below `sys`, as [`Procfs::write`]. There the host's own mounts may lie, of
    /// parts of the same procfs: containers that hold containers make `/proc/sys` read-only and
    /// parts of it writable so.
    pub fn write_sysctl(&self, path: &str, text: &str) -> io::Result<()> {
        match self.write(path, text) {
            Err(error) if error.raw_os_error() == Some(libc::EXDEV) => {}
            other => return other,
        }
        let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS | ResolveFlags::NO_SYMLINKS;
        let flags = OFlags::WRONLY | OFlags::CLOEXEC;
        let file = fs::openat2(&self.root, path, flags, Mode::empty(), resolve)?;
        if fs::fstat(&file)?.st_dev != fs::fstat(&self.root)?.st_dev {
            return Err(io::Error::from_raw_os_error(libc::EXDEV));
        }
        std::fs::File::from(file).write_all(text.as_bytes())
    }

    /// Opens anew what descriptor `number` of this process stands for.
    pub fn reopen(&self, number: i32, flags: OFlags) -> io::Result<OwnedFd> {
        let path = format!("self/fd/{number}");
        Ok(fs::openat(&self.root, path, flags | OFlags::CLOEXEC, Mode::empty())?)
    }
}
