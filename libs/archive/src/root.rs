//! The directory that nothing leaves: every path is resolved inside it by openat2(2).

use std::collections::HashMap;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::rc::Rc;

use rustix::fs::{self, AtFlags, CWD, Mode, OFlags, ResolveFlags};
use rustix::io::Errno;

use crate::apply::Lowers;
use crate::entry::Time;
use crate::hide::is_whiteout;
use crate::metadata;
use crate::{Error, Result};

/// Most directories kept open at a time.
const CACHE_LIMIT: usize = 128;
/// As many symlinks as the kernel follows in one path.
const LINK_LIMIT: usize = 40;

/// An open directory inside the root.
pub(crate) struct Directory {
    pub fd: OwnedFd,
    /// Files made in it take its group, not ours.
    pub inherits_group: bool,
    /// Where it really is below the root, symlinks resolved; empty for the root.
    pub path: Vec<u8>,
}

/// What to do when a directory is not there.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Missing {
    Make,
    Ignore,
}

/// The root with the directories last used.
pub(crate) struct Root {
    top: Rc<Directory>,
    /// Path of the root as the kernel tells it, to be cut off.
    prefix: Vec<u8>,
    cache: HashMap<Vec<u8>, Rc<Directory>>,
    lowers: Lowers,
    /// Directories made because an entry needed them, with the time they take at the end.
    pub made: Vec<(Vec<u8>, Option<Time>)>,
}

impl Root {
    pub(crate) fn open(root: BorrowedFd<'_>, lowers: Lowers) -> Result<Root> {
        let fd = open_in(root, b".", OFlags::PATH | OFlags::DIRECTORY)
            .map_err(|e| Error::file("open", b"/", e))?;
        let prefix = real_path(&fd)?;
        let inherits_group = inherits_group(&fd)?;
        let top = Rc::new(Directory { fd, inherits_group, path: Vec::new() });
        Ok(Root { top, prefix, cache: HashMap::new(), lowers, made: Vec::new() })
    }

    /// Gives what is at a real path of this root to somebody.
    pub(crate) fn give(&self, path: &[u8], uid: u32, gid: u32) -> Result<()> {
        let node = open_in(self.top.fd.as_fd(), path, OFlags::PATH | OFlags::NOFOLLOW)
            .map_err(|e| Error::file("open", path, e))?;
        let (uid, gid) = (fs::Uid::from_raw(uid), fs::Gid::from_raw(gid));
        fs::chownat(&node, "", Some(uid), Some(gid), AtFlags::EMPTY_PATH)
            .map_err(|e| Error::file("chown", path, e))
    }

    /// Opens the directory at `path`, which is clean; symlinks on the way stay in the root.
    pub(crate) fn directory(&mut self, path: &[u8], missing: Missing) -> Result<Option<Rc<Directory>>> {
        if path.is_empty() {
            return Ok(Some(self.top.clone()));
        }
        if let Some(found) = self.cache.get(path) {
            return Ok(Some(found.clone()));
        }
        let fd = match open_in(self.top.fd.as_fd(), path, OFlags::PATH | OFlags::DIRECTORY) {
            Ok(fd) => fd,
            Err(Errno::NOENT) if missing == Missing::Ignore => return Ok(None),
            Err(Errno::NOENT) => self.make(path)?,
            Err(error) => return Err(Error::file("open directory", path, error)),
        };
        let found = self.adopt(fd)?;
        if self.cache.len() >= CACHE_LIMIT {
            self.cache.clear();
        }
        self.cache.insert(path.to_vec(), found.clone());
        Ok(Some(found))
    }

    /// Forgets what paths lead to: a directory or symlink was taken away.
    pub(crate) fn forget(&mut self) {
        self.cache.clear();
    }

    /// Opens what is at `path` in the nearest lower layer that has it, symlinks not followed.
    pub(crate) fn lower(&self, path: &[u8]) -> Result<Option<OwnedFd>> {
        let Lowers::Known(lowers) = &self.lowers else { return Err(Error::needs_lowers(path)) };
        for lower in lowers {
            let Ok(fd) = open_in(lower.as_fd(), path, OFlags::PATH | OFlags::NOFOLLOW) else { continue };
            let Ok(stat) = fs::fstat(&fd) else { return Ok(None) };
            return Ok((!is_whiteout(&stat)).then_some(fd));
        }
        Ok(None)
    }

    pub(crate) fn top(&self) -> BorrowedFd<'_> {
        self.top.fd.as_fd()
    }

    fn adopt(&self, fd: OwnedFd) -> Result<Rc<Directory>> {
        let real = real_path(&fd)?;
        let path = real.strip_prefix(self.prefix.as_slice()).unwrap_or(&real);
        let path = path.strip_prefix(b"/").unwrap_or(path).to_vec();
        Ok(Rc::new(Directory { inherits_group: inherits_group(&fd)?, fd, path }))
    }

    /// Makes `path` and what is missing above it, through dangling symlinks as well.
    fn make(&mut self, path: &[u8]) -> Result<OwnedFd> {
        let fail = |error| Error::file("make directory", path, error);
        let mut parts: Vec<Vec<u8>> = path.split(|b| *b == b'/').map(<[u8]>::to_vec).collect();
        let mut links = 0;
        let mut done = 0;
        let mut parent = open_in(self.top(), b".", OFlags::PATH).map_err(fail)?;
        while done < parts.len() {
            let prefix = parts[..=done].join(&b'/');
            match open_in(self.top(), &prefix, OFlags::PATH | OFlags::DIRECTORY) {
                Ok(fd) => (parent, done) = (fd, done + 1),
                Err(Errno::NOENT) => {
                    match fs::mkdirat(&parent, parts[done].as_slice(), Mode::from_raw_mode(0o755)) {
                        Ok(()) => self.adorn(&prefix)?,
                        Err(Errno::EXIST) if links < LINK_LIMIT => {
                            links += 1;
                            let target =
                                fs::readlinkat(&parent, parts[done].as_slice(), Vec::new()).map_err(fail)?;
                            let target = target.into_bytes();
                            let above = if target.starts_with(b"/") { 0 } else { done };
                            let steps =
                                target.split(|b| *b == b'/').filter(|part| !part.is_empty() && part != b".");
                            let rest = parts.split_off(done + 1);
                            parts.truncate(above);
                            parts.extend(steps.map(<[u8]>::to_vec));
                            parts.extend(rest);
                            done = 0;
                            parent = open_in(self.top(), b".", OFlags::PATH).map_err(fail)?;
                        }
                        Err(Errno::EXIST) => return Err(fail(Errno::LOOP)),
                        Err(error) => return Err(fail(error)),
                    }
                }
                Err(error) => return Err(fail(error)),
            }
        }
        Ok(parent)
    }

    /// Gives a directory just made the looks of the one it will cover.
    fn adorn(&mut self, path: &[u8]) -> Result<()> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY;
        let fd = open_in(self.top(), path, flags).map_err(|e| Error::file("open directory", path, e))?;
        let time = match self.lower(path)? {
            Some(lower) => metadata::copy_directory(&lower, &fd, path)?,
            None => None,
        };
        let place = self.adopt(fd)?.path.clone();
        self.made.push((place, time));
        Ok(())
    }
}

/// Opens `path` as if `root` were `/`; magic links are refused.
pub(crate) fn open_in(root: BorrowedFd<'_>, path: &[u8], flags: OFlags) -> rustix::io::Result<OwnedFd> {
    let resolve = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
    let mut tries = 0;
    loop {
        match fs::openat2(root, path, flags | OFlags::CLOEXEC, Mode::empty(), resolve) {
            // The kernel could not rule out a race with a rename; it says "try again".
            Err(Errno::AGAIN) if tries < 128 => tries += 1,
            other => return other,
        }
    }
}

/// The path of something below an open directory, for calls that have no descriptor form.
pub(crate) fn proc_path(directory: &OwnedFd, name: &[u8]) -> Vec<u8> {
    let mut path = format!("/proc/self/fd/{}", directory.as_raw_fd()).into_bytes();
    if !name.is_empty() {
        path.push(b'/');
        path.extend_from_slice(name);
    }
    path
}

fn real_path(fd: &OwnedFd) -> Result<Vec<u8>> {
    let path = fs::readlinkat(CWD, proc_path(fd, b""), Vec::new());
    path.map(std::ffi::CString::into_bytes).map_err(|e| Error::file("read the path of a directory", b"", e))
}

fn inherits_group(fd: &OwnedFd) -> Result<bool> {
    let stat = fs::statat(fd, "", AtFlags::EMPTY_PATH).map_err(|e| Error::file("stat", b"", e))?;
    Ok(stat.st_mode & 0o2000 != 0)
}

/// Lexically clean, relative, `..` held at the root; empty for the root itself.
pub(crate) fn clean(path: &[u8]) -> Vec<u8> {
    let mut parts: Vec<&[u8]> = Vec::new();
    for part in path.split(|b| *b == b'/') {
        match part {
            b"" | b"." => {}
            b".." => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    parts.join(&b'/')
}

/// Parent and last component of a clean path.
pub(crate) fn split(path: &[u8]) -> (&[u8], &[u8]) {
    match path.iter().rposition(|b| *b == b'/') {
        Some(at) => (&path[..at], &path[at + 1..]),
        None => (b"", path),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clean_never_leaves() {
        for (path, expected) in [
            ("../../etc/passwd", "etc/passwd"),
            ("/a/./b//c/", "a/b/c"),
            ("a/../../b", "b"),
            ("..", ""),
            ("./", ""),
            ("", ""),
        ] {
            assert_eq!(clean(path.as_bytes()), expected.as_bytes(), "{path}");
        }
        assert_eq!(split(b"a/b/c"), (&b"a/b"[..], &b"c"[..]));
        assert_eq!(split(b"c"), (&b""[..], &b"c"[..]));
    }
}
