//! Makes an archive of a tree.

use std::collections::HashMap;
use std::fs::File;
use std::io::{Write, empty};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{self, FileType, Mode, OFlags, Stat};

use crate::entry::{Entry, Kind, Time};
use crate::metadata::{is_reserved, xattrs};
use crate::remove::children;
use crate::root::proc_path;
use crate::writer::Writer;
use crate::{Error, Result};

/// Writes all below `root` in the order of names, hard links as such, sockets left out.
///
/// # Errors
/// A file cannot be read or the archive cannot be written.
pub fn pack<W: Write>(root: BorrowedFd<'_>, writer: &mut Writer<W>) -> Result<()> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let top =
        fs::openat(root, ".", flags, Mode::empty()).map_err(|e| Error::file("open directory", b"/", e))?;
    pack_directory(top.as_fd(), b"", writer, &mut HashMap::new())
}

fn pack_directory<W: Write>(
    directory: BorrowedFd<'_>,
    path: &[u8],
    writer: &mut Writer<W>,
    links: &mut HashMap<(u64, u64), Vec<u8>>,
) -> Result<()> {
    let mut names = children(directory).map_err(|e| Error::file("read directory", path, e))?;
    names.sort_by(|a, b| a.0.cmp(&b.0));
    for (name, _) in names {
        let child_path = if path.is_empty() { name.clone() } else { [path, b"/", &name].concat() };
        let Some((mut entry, file, stat)) = describe(directory, &name, &child_path)? else { continue };
        if entry.kind == Kind::Directory {
            writer.append(&entry, &mut empty())?;
            let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            let child = fs::openat(directory, name.as_slice(), flags, Mode::empty());
            let child = child.map_err(|e| Error::file("open directory", &child_path, e))?;
            pack_directory(child.as_fd(), &child_path, writer, links)?;
            continue;
        }
        if stat.st_nlink > 1 {
            if let Some(first) = links.get(&(stat.st_dev, stat.st_ino)) {
                (entry.kind, entry.link, entry.size) = (Kind::HardLink, first.clone(), 0);
                entry.xattrs.clear();
                writer.append(&entry, &mut empty())?;
                continue;
            }
            links.insert((stat.st_dev, stat.st_ino), child_path);
        }
        match file {
            Some(mut file) => writer.append(&entry, &mut file)?,
            None => writer.append(&entry, &mut empty())?,
        }
    }
    Ok(())
}

/// The entry of `name` in `directory`, to be called `path`, with the open file if it is one;
/// `None` for sockets, which no archive holds, and for what is not there.
///
/// # Errors
/// It cannot be read.
pub fn describe(
    directory: BorrowedFd<'_>,
    name: &[u8],
    path: &[u8],
) -> Result<Option<(Entry, Option<File>, Stat)>> {
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let node = match fs::openat(directory, name, flags, Mode::empty()) {
        Ok(node) => node,
        // Gone meanwhile, or an overlay's whiteout of nothing, which is listed and not there.
        Err(rustix::io::Errno::NOENT) => return Ok(None),
        Err(error) => return Err(Error::file("open", path, error)),
    };
    let stat = fs::fstat(&node).map_err(|e| Error::file("stat", path, e))?;
    Ok(describe_open(&node, path)?.map(|(entry, file)| (entry, file, stat)))
}

/// As [`describe`], for a node that is open already (by `O_PATH`).
pub(crate) fn describe_open(node: &OwnedFd, path: &[u8]) -> Result<Option<(Entry, Option<File>)>> {
    let fail = |verb, error: rustix::io::Errno| Error::file(verb, path, error);
    let stat = fs::fstat(node).map_err(|e| fail("stat", e))?;
    let kind = match FileType::from_raw_mode(stat.st_mode) {
        FileType::RegularFile => Kind::File,
        FileType::Directory => Kind::Directory,
        FileType::Symlink => Kind::Symlink,
        FileType::CharacterDevice => Kind::CharDevice,
        FileType::BlockDevice => Kind::BlockDevice,
        FileType::Fifo => Kind::Fifo,
        FileType::Socket | FileType::Unknown => return Ok(None),
    };
    let mut entry = Entry::new(path, kind, stat.st_mode & 0o7777);
    (entry.uid, entry.gid) = (stat.st_uid, stat.st_gid);
    entry.modified = Time { seconds: stat.st_mtime, nanoseconds: stat.st_mtime_nsec as u32 };
    let mut file = None;
    match kind {
        Kind::File => {
            // A descriptor by /proc is the very node that was looked at.
            let reopened = File::open(std::path::Path::new(&format!(
                "/proc/self/fd/{}",
                std::os::fd::AsRawFd::as_raw_fd(node)
            )));
            file = Some(reopened.map_err(|e| Error::file("open", path, e))?);
            entry.size = stat.st_size as u64;
        }
        Kind::Symlink => {
            entry.link = fs::readlinkat(node, "", Vec::new()).map_err(|e| fail("read link", e))?.into_bytes();
        }
        Kind::CharDevice | Kind::BlockDevice => {
            entry.device = (rustix::fs::major(stat.st_rdev), rustix::fs::minor(stat.st_rdev));
        }
        _ => {}
    }
    if matches!(kind, Kind::File | Kind::Directory) {
        // The node itself, not the link in /proc: a trailing "." for directories, the file otherwise.
        let path_of = if kind == Kind::Directory { proc_path(node, b".") } else { Vec::new() };
        entry.xattrs = match &file {
            Some(file) => file_xattrs(file).map_err(|e| fail("list extended attributes of", e))?,
            None => xattrs(&path_of, &is_portable).map_err(|e| fail("list extended attributes of", e))?,
        };
    }
    Ok(Some((entry, file)))
}

fn file_xattrs(file: &File) -> rustix::io::Result<Vec<(Vec<u8>, Vec<u8>)>> {
    let mut list = vec![0; 4096];
    let length = match fs::flistxattr(file, list.as_mut_slice()) {
        Ok(length) => length,
        Err(rustix::io::Errno::NOTSUP) => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let mut found = Vec::new();
    for name in list[..length].split(|b| *b == 0).filter(|name| !name.is_empty() && is_portable(name)) {
        let mut value = vec![0; 65536];
        let length = fs::fgetxattr(file, name, value.as_mut_slice())?;
        value.truncate(length);
        found.push((name.to_vec(), value));
    }
    found.sort();
    Ok(found)
}

/// Attributes that mean the same on another host: file capabilities and users' own.
fn is_portable(name: &[u8]) -> bool {
    name == b"security.capability" || (name.starts_with(b"user.") && !is_reserved(name))
}
