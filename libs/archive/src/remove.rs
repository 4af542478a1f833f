//! Removes a tree by descriptors, never through a symlink.

use std::os::fd::{AsFd, BorrowedFd};

use rustix::fs::{self, AtFlags, Dir, FileType, Mode, OFlags};
use rustix::io::Errno;

/// Deeper trees are refused: each level holds a descriptor and a stack frame.
const DEPTH_LIMIT: usize = 4096;

/// What was removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Removed {
    Nothing,
    /// Something that no other path leads through.
    Leaf,
    /// A directory or symlink.
    Passage,
}

/// Removes `name` in `directory` with all that is below it.
pub(crate) fn remove_all(directory: BorrowedFd<'_>, name: &[u8]) -> rustix::io::Result<Removed> {
    let stat = match fs::statat(directory, name, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(stat) => stat,
        Err(Errno::NOENT) => return Ok(Removed::Nothing),
        Err(error) => return Err(error),
    };
    match FileType::from_raw_mode(stat.st_mode) {
        FileType::Directory => {
            remove_directory(directory, name, 0)?;
            Ok(Removed::Passage)
        }
        file_type => {
            ignore_absent(fs::unlinkat(directory, name, AtFlags::empty()))?;
            Ok(if file_type == FileType::Symlink { Removed::Passage } else { Removed::Leaf })
        }
    }
}

fn remove_directory(parent: BorrowedFd<'_>, name: &[u8], depth: usize) -> rustix::io::Result<()> {
    if depth > DEPTH_LIMIT {
        return Err(Errno::NAMETOOLONG);
    }
    match fs::unlinkat(parent, name, AtFlags::REMOVEDIR) {
        Err(Errno::NOTEMPTY | Errno::EXIST) => {}
        other => return ignore_absent(other),
    }
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let fd = fs::openat(parent, name, flags, Mode::empty())?;
    for (child, file_type) in children(fd.as_fd())? {
        if file_type == FileType::Directory {
            remove_directory(fd.as_fd(), &child, depth + 1)?;
        } else {
            ignore_absent(fs::unlinkat(&fd, child.as_slice(), AtFlags::empty()))?;
        }
    }
    ignore_absent(fs::unlinkat(parent, name, AtFlags::REMOVEDIR))
}

/// Names and types of what is in a directory, in the file system's order.
pub(crate) fn children(directory: BorrowedFd<'_>) -> rustix::io::Result<Vec<(Vec<u8>, FileType)>> {
    let mut found = Vec::new();
    for entry in Dir::read_from(directory)? {
        let entry = entry?;
        let name = entry.file_name().to_bytes();
        if name == b"." || name == b".." {
            continue;
        }
        let file_type = match entry.file_type() {
            FileType::Unknown => {
                FileType::from_raw_mode(fs::statat(directory, name, AtFlags::SYMLINK_NOFOLLOW)?.st_mode)
            }
            known => known,
        };
        found.push((name.to_vec(), file_type));
    }
    Ok(found)
}

fn ignore_absent(result: rustix::io::Result<()>) -> rustix::io::Result<()> {
    match result {
        Err(Errno::NOENT) => Ok(()),
        other => other,
    }
}
