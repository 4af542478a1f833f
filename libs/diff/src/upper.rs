//! The upper directory of an overlay to a layer, without looking at what is below.

use std::io::Write;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use containerd_api::types::Mount;
use errdefs::{Error, Result};
use rustix::fs::{self, AtFlags, Dir, FileType, Mode, OFlags};
use rustix::io::Errno;

use crate::compare::{Layer, join};
use crate::target::{io, lowers, open_directory, option};

/// The upper directory and the ones below, when `right` is an overlay right over what `left` shows.
pub(crate) fn over<'a>(left: &[Mount], right: &'a [Mount]) -> Option<(&'a str, Vec<String>)> {
    let ([left], [right]) = (left, right) else { return None };
    if right.r#type != "overlay" || right.options.iter().any(|option| option == "userxattr") {
        return None;
    }
    let upper = option(right, "upperdir")?;
    let below = lowers(right);
    let shown = match left.r#type.as_str() {
        "bind" => vec![left.source.clone()],
        "overlay" if option(left, "upperdir").is_none() => lowers(left),
        _ => return None,
    };
    (shown == below).then_some((upper, below))
}

/// Whether the tree holds nothing that only the kernel can read: renamed directories, files whose
/// content is still below.
pub(crate) fn is_plain(upper: &str) -> Result<bool> {
    let root = open_directory(Path::new(upper))?;
    plain_below(open(root.as_fd(), b".", true)?.as_fd())
}

fn plain_below(directory: BorrowedFd<'_>) -> Result<bool> {
    for (name, file_type) in children(directory)? {
        let is_directory = file_type == FileType::Directory;
        if !is_directory && file_type != FileType::RegularFile {
            continue;
        }
        let node = open(directory, &name, is_directory)?;
        let marks = ["trusted.overlay.redirect", "trusted.overlay.metacopy"];
        for mark in marks {
            match fs::fgetxattr(&node, mark, &mut [0u8; 0][..]) {
                Err(Errno::NODATA | Errno::NOTSUP) => {}
                _ => return Ok(false),
            }
        }
        if is_directory && !plain_below(node.as_fd())? {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Writes all that the upper directory holds.
pub(crate) fn write_upper<W: Write>(upper: &str, below: &[String], out: &mut Layer<W>) -> Result<()> {
    let root = open_directory(Path::new(upper))?;
    let below = below.iter().map(|path| open_directory(Path::new(path))).collect::<Result<Vec<_>>>()?;
    let root = open(root.as_fd(), b".", true)?;
    write_directory(root.as_fd(), root.as_fd(), b"", &below, out)
}

fn write_directory<W: Write>(
    root: BorrowedFd<'_>,
    directory: BorrowedFd<'_>,
    path: &[u8],
    below: &[OwnedFd],
    out: &mut Layer<W>,
) -> Result<()> {
    let mut names = children(directory)?;
    names.sort_by(|a, b| a.0.cmp(&b.0));
    for (name, file_type) in names {
        let child = join(path, &name);
        if file_type == FileType::CharacterDevice && is_whiteout(directory, &name)? {
            out.whiteout(root, &child)?;
            continue;
        }
        out.entry(root, &child)?;
        if file_type == FileType::Directory {
            let fd = open(directory, &name, true)?;
            // The kernel marks most new directories opaque; it matters where there is one below.
            if is_opaque(&fd) && has_directory(below, &child) {
                out.opaque(&child)?;
            }
            write_directory(root, fd.as_fd(), &child, below, out)?;
        }
    }
    Ok(())
}

fn is_whiteout(directory: BorrowedFd<'_>, name: &[u8]) -> Result<bool> {
    let stat =
        fs::statat(directory, name, AtFlags::SYMLINK_NOFOLLOW).map_err(|cause| fail("stat", name, cause))?;
    Ok(stat.st_rdev == 0)
}

fn is_opaque(fd: &OwnedFd) -> bool {
    let mut value = [0u8; 4];
    matches!(fs::fgetxattr(fd, "trusted.overlay.opaque", &mut value[..]), Ok(1)) && value[0] == b'y'
}

fn has_directory(below: &[OwnedFd], path: &[u8]) -> bool {
    below
        .iter()
        .find_map(|layer| fs::statat(layer, path, AtFlags::SYMLINK_NOFOLLOW).ok())
        .is_some_and(|stat| FileType::from_raw_mode(stat.st_mode) == FileType::Directory)
}

fn children(directory: BorrowedFd<'_>) -> Result<Vec<(Vec<u8>, FileType)>> {
    let read = || -> rustix::io::Result<_> {
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
    };
    read().map_err(|cause| fail("read directory", b"", cause))
}

fn open(directory: BorrowedFd<'_>, name: &[u8], is_directory: bool) -> Result<OwnedFd> {
    let mut flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK;
    if is_directory {
        flags |= OFlags::DIRECTORY;
    }
    fs::openat(directory, name, flags, Mode::empty()).map_err(|cause| fail("open", name, cause))
}

fn fail(verb: &str, name: &[u8], cause: Errno) -> Error {
    Error::unknown(format!("cannot {verb} {}", String::from_utf8_lossy(name))).with_source(io(cause))
}
