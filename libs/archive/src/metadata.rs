//! Ownership, modes, extended attributes and times of what was made.

use std::os::fd::{AsFd, OwnedFd};

use rustix::fs::{self, AtFlags, CWD, Gid, Mode, Timespec, Timestamps, Uid, XattrFlags};
use rustix::io::Errno;

use crate::entry::{Entry, Time};
use crate::root::{Directory, proc_path};
use crate::{Error, Result};

/// The identity and umask that decide what a new file has without further calls.
pub(crate) struct Defaults {
    uid: u32,
    gid: u32,
    umask: u32,
}

impl Defaults {
    pub(crate) fn of_this_thread() -> Defaults {
        Defaults {
            uid: rustix::process::geteuid().as_raw(),
            gid: rustix::process::getegid().as_raw(),
            umask: umask(),
        }
    }

    fn owner_differs(&self, entry: &Entry, parent: &Directory) -> bool {
        entry.uid != self.uid || entry.gid != self.gid || parent.inherits_group
    }

    fn mode_differs(&self, entry: &Entry, parent: &Directory) -> bool {
        let special = entry.mode & 0o7000 != 0;
        entry.mode & self.umask != 0 || special || parent.inherits_group
    }

    /// Finishes a file or directory that is open for reading or writing.
    pub(crate) fn finish_open(
        &self,
        fd: &OwnedFd,
        entry: &Entry,
        parent: &Directory,
        is_new: bool,
    ) -> Result<()> {
        let fail = |verb, error| Error::file(verb, &entry.path, error);
        let chown = !is_new || self.owner_differs(entry, parent);
        if chown {
            fs::fchown(fd, owner(entry.uid), group(entry.gid)).map_err(|e| fail("chown", e))?;
        }
        if !is_new || self.mode_differs(entry, parent) {
            fs::fchmod(fd, Mode::from_raw_mode(entry.mode)).map_err(|e| fail("chmod", e))?;
        }
        // After chown, which drops file capabilities.
        for (name, value) in &entry.xattrs {
            let result = fs::fsetxattr(fd, name.as_slice(), value, XattrFlags::empty());
            check_xattr(name, result).map_err(|e| fail("set extended attribute", e))?;
        }
        Ok(())
    }

    /// Finishes a link, device or fifo, which is never opened.
    pub(crate) fn finish_named(
        &self,
        name: &[u8],
        entry: &Entry,
        parent: &Directory,
        is_link: bool,
    ) -> Result<()> {
        let fail = |verb, error| Error::file(verb, &entry.path, error);
        let chown = self.owner_differs(entry, parent);
        if chown {
            let (uid, gid) = (owner(entry.uid), group(entry.gid));
            fs::chownat(&parent.fd, name, uid, gid, AtFlags::SYMLINK_NOFOLLOW)
                .map_err(|e| fail("chown", e))?;
        }
        if !is_link && self.mode_differs(entry, parent) {
            chmod_named(parent, name, entry.mode).map_err(|e| fail("chmod", e))?;
        }
        for (attribute, value) in &entry.xattrs {
            let path = proc_path(&parent.fd, name);
            let result = fs::lsetxattr(path.as_slice(), attribute.as_slice(), value, XattrFlags::empty());
            check_xattr(attribute, result).map_err(|e| fail("set extended attribute", e))?;
        }
        fs::utimensat(&parent.fd, name, &stamps(entry.modified), AtFlags::SYMLINK_NOFOLLOW)
            .map_err(|e| fail("set times of", e))
    }
}

/// chmod(2) follows symlinks, so the node is pinned by a descriptor that is no symlink's first.
fn chmod_named(parent: &Directory, name: &[u8], mode: u32) -> rustix::io::Result<()> {
    use rustix::fs::OFlags;
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let fd = fs::openat(&parent.fd, name, flags, Mode::empty())?;
    let file_type = fs::FileType::from_raw_mode(fs::fstat(&fd)?.st_mode);
    if file_type == fs::FileType::Symlink {
        return Err(Errno::LOOP);
    }
    fs::chmod(proc_path(&fd, b"").as_slice(), Mode::from_raw_mode(mode))
}

/// Overlayfs' own attributes are no image's to set: they redirect look-ups to other directories.
pub(crate) fn is_reserved(name: &[u8]) -> bool {
    name.starts_with(b"trusted.overlay.") || name.starts_with(b"user.overlay.")
}

/// A file system without such attributes is no failure.
fn check_xattr(name: &[u8], result: rustix::io::Result<()>) -> rustix::io::Result<()> {
    match result {
        Err(Errno::NOTSUP) => Ok(()),
        // Links and devices have no user attributes (xattr(7)).
        Err(Errno::PERM) if name.starts_with(b"user.") => Ok(()),
        other => other,
    }
}

pub(crate) fn stamps(time: Time) -> Timestamps {
    let time = Timespec { tv_sec: time.seconds, tv_nsec: i64::from(time.nanoseconds) };
    Timestamps { last_access: time, last_modification: time }
}

pub(crate) fn set_times(fd: impl AsFd, time: Time) -> rustix::io::Result<()> {
    fs::futimens(fd, &stamps(time))
}

/// Gives `to` the owner, mode and attributes of the directory `from`; returns its time.
pub(crate) fn copy_directory(from: &OwnedFd, to: &OwnedFd, path: &[u8]) -> Result<Option<Time>> {
    let fail = |error| Error::file("copy the looks of directory", path, error);
    let stat = fs::fstat(from).map_err(fail)?;
    if fs::FileType::from_raw_mode(stat.st_mode) != fs::FileType::Directory {
        return Ok(None);
    }
    fs::fchown(to, owner(stat.st_uid), group(stat.st_gid)).map_err(fail)?;
    fs::fchmod(to, Mode::from_raw_mode(stat.st_mode & 0o7777)).map_err(fail)?;
    for (name, value) in xattrs(&proc_path(from, b"."), &|name| !is_reserved(name)).map_err(fail)? {
        check_xattr(&name, fs::fsetxattr(to, name.as_slice(), &value, XattrFlags::empty())).map_err(fail)?;
    }
    Ok(Some(Time { seconds: stat.st_mtime, nanoseconds: stat.st_mtime_nsec as u32 }))
}

/// The extended attributes at `path` (the last component is not followed) whose name `wanted` takes.
pub(crate) fn xattrs(
    path: &[u8],
    wanted: &dyn Fn(&[u8]) -> bool,
) -> rustix::io::Result<Vec<(Vec<u8>, Vec<u8>)>> {
    // Most files have none: one call tells.
    let mut list = vec![0; 256];
    let length = loop {
        match fs::llistxattr(path, list.as_mut_slice()) {
            Ok(length) => break length,
            Err(Errno::RANGE) => list.resize(list.len() * 4, 0),
            Err(Errno::NOTSUP) => return Ok(Vec::new()),
            Err(error) => return Err(error),
        }
    };
    let mut found = Vec::new();
    for name in list[..length].split(|b| *b == 0).filter(|name| !name.is_empty() && wanted(name)) {
        let mut value = vec![0; 256];
        loop {
            match fs::lgetxattr(path, name, value.as_mut_slice()) {
                Ok(length) => {
                    value.truncate(length);
                    found.push((name.to_vec(), value));
                    break;
                }
                Err(Errno::RANGE) => value.resize(value.len() * 4, 0),
                Err(Errno::NODATA) => break,
                Err(error) => return Err(error),
            }
        }
    }
    found.sort();
    Ok(found)
}

fn owner(uid: u32) -> Option<Uid> {
    Some(Uid::from_raw(uid))
}

fn group(gid: u32) -> Option<Gid> {
    Some(Gid::from_raw(gid))
}

/// The umask, read where reading does not change it; everything is masked if that fails.
fn umask() -> u32 {
    let read = || -> Option<u32> {
        let flags = fs::OFlags::RDONLY | fs::OFlags::CLOEXEC;
        let fd = fs::openat(CWD, "/proc/thread-self/status", flags, Mode::empty()).ok()?;
        let text = std::io::read_to_string(std::fs::File::from(fd)).ok()?;
        let line = text.lines().find_map(|line| line.strip_prefix("Umask:"))?;
        u32::from_str_radix(line.trim(), 8).ok()
    };
    read().unwrap_or(0o7777)
}
