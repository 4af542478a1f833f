//! What a layer takes away from those below: whiteouts, as removals or as an overlay's marks.

use std::collections::HashSet;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{self, FileType, Mode, OFlags, XattrFlags, makedev};

use crate::apply::{Apply, below};
use crate::remove::{children, remove_all};
use crate::root::{Directory, Missing};
use crate::whiteout::Whiteouts;
use crate::{Error, Result};

impl Apply {
    /// Hides one name of the layers below.
    pub(crate) fn hide(&mut self, parent: &[u8], name: &[u8]) -> Result<()> {
        let path = [parent, b"/", name].concat();
        let missing = if self.whiteouts == Whiteouts::Remove { Missing::Ignore } else { Missing::Make };
        let directory = match missing {
            Missing::Make => self.parent(parent)?,
            Missing::Ignore => match self.root.directory(parent, missing)? {
                Some(directory) => directory,
                None => return Ok(()),
            },
        };
        if self.unpacked.contains(&below(&directory, name)) {
            // What this archive brought stays; only what lies below is hidden.
            return match self.open_child(&directory, name) {
                Some(child) => self.hide_below(&child, &below(&directory, name), &path),
                None => Ok(()),
            };
        }
        if self.whiteouts == Whiteouts::Remove {
            return self.remove(&directory, name, &path);
        }
        self.replacing(&directory, name, &path, "make whiteout", || {
            fs::mknodat(&directory.fd, name, FileType::CharacterDevice, Mode::empty(), makedev(0, 0))
        })
    }

    /// Hides all that the layers below have in `path`.
    pub(crate) fn hide_all(&mut self, path: &[u8]) -> Result<()> {
        let directory = self.parent(path)?;
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let fd = fs::openat(&directory.fd, ".", flags, Mode::empty());
        let fd = fd.map_err(|e| Error::file("open directory", path, e))?;
        self.hide_below(&fd, &directory.path.clone(), path)
    }

    fn hide_below(&mut self, fd: &OwnedFd, real: &[u8], path: &[u8]) -> Result<()> {
        if self.whiteouts != Whiteouts::Remove {
            return self.make_opaque(fd, path);
        }
        let result = remove_older(fd.as_fd(), real, &self.unpacked);
        self.root.forget();
        result.map_err(|e| Error::file("clear directory", path, e))
    }

    pub(crate) fn make_opaque(&self, fd: &OwnedFd, path: &[u8]) -> Result<()> {
        let Some(attribute) = self.whiteouts.opaque_attribute() else { return Ok(()) };
        fs::fsetxattr(fd, attribute, b"y", XattrFlags::empty())
            .map_err(|e| Error::file("make opaque", path, e))
    }

    fn open_child(&self, directory: &Directory, name: &[u8]) -> Option<OwnedFd> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        fs::openat(&directory.fd, name, flags, Mode::empty()).ok()
    }
}

/// Whether it is an overlay's whiteout.
pub(crate) fn is_whiteout(stat: &fs::Stat) -> bool {
    FileType::from_raw_mode(stat.st_mode) == FileType::CharacterDevice && stat.st_rdev == 0
}

/// Removes all below a directory but what `kept` names.
fn remove_older(fd: BorrowedFd<'_>, real: &[u8], kept: &HashSet<Vec<u8>>) -> rustix::io::Result<()> {
    for (name, file_type) in children(fd)? {
        let path = if real.is_empty() { name.clone() } else { [real, b"/", &name].concat() };
        if !kept.contains(&path) {
            remove_all(fd, &name)?;
        } else if file_type == FileType::Directory {
            let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            let child = fs::openat(fd, name.as_slice(), flags, Mode::empty())?;
            remove_older(child.as_fd(), &path, kept)?;
        }
    }
    Ok(())
}
