//! A copy of a directory that nobody can tell from it: owners, modes, times, links, xattrs, devices.

use rustix::fs::{AtFlags, CWD, FileType, Gid, Mode, Timespec, Timestamps, Uid};
use std::collections::HashMap;
use std::ffi::OsString;
use std::fs::{self, Metadata};
use std::io;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::{Path, PathBuf};

/// First names of files with several links, by device and inode.
type Links = HashMap<(u64, u64), PathBuf>;

/// Copies what is in `from`, and the attributes of `from` itself, to the existing directory `to`.
pub(crate) fn tree(from: &Path, to: &Path) -> io::Result<()> {
    let mut links = Links::new();
    // Depth first; a directory gets its attributes after its entries, which would touch its times.
    let mut stack = vec![(from.to_owned(), to.to_owned(), false)];
    while let Some((from, to, entered)) = stack.pop() {
        let meta = fs::symlink_metadata(&from)?;
        if entered {
            attributes(&from, &to, &meta)?;
        } else if meta.is_dir() {
            if !to.exists() {
                fs::create_dir(&to)?;
            }
            stack.push((from.clone(), to.clone(), true));
            for entry in fs::read_dir(&from)? {
                let name = entry?.file_name();
                stack.push((from.join(&name), to.join(&name), false));
            }
        } else {
            leaf(&from, &to, &meta, &mut links)?;
        }
    }
    Ok(())
}

fn leaf(from: &Path, to: &Path, meta: &Metadata, links: &mut Links) -> io::Result<()> {
    if meta.nlink() > 1 {
        let first = links.entry((meta.dev(), meta.ino())).or_insert_with(|| to.to_owned());
        if first != to {
            return fs::hard_link(first, to);
        }
    }
    let kind = meta.file_type();
    if kind.is_symlink() {
        symlink(fs::read_link(from)?, to)?;
    } else if kind.is_file() {
        // Shares blocks where the file system can (copy_file_range(2)).
        fs::copy(from, to)?;
    } else {
        let mode = Mode::from_raw_mode(meta.mode() & 0o7777);
        rustix::fs::mknodat(CWD, to, FileType::from_raw_mode(meta.mode()), mode, meta.rdev())?;
    }
    attributes(from, to, meta)
}

fn attributes(from: &Path, to: &Path, meta: &Metadata) -> io::Result<()> {
    let (user, group) = (Uid::from_raw(meta.uid()), Gid::from_raw(meta.gid()));
    rustix::fs::chownat(CWD, to, Some(user), Some(group), AtFlags::SYMLINK_NOFOLLOW)?;
    xattrs(from, to)?;
    if !meta.file_type().is_symlink() {
        // After the owner, whose change clears set-id bits.
        rustix::fs::chmodat(CWD, to, Mode::from_raw_mode(meta.mode() & 0o7777), AtFlags::empty())?;
    }
    let stamp = |seconds, nanos| Timespec { tv_sec: seconds, tv_nsec: nanos };
    let times = Timestamps {
        last_access: stamp(meta.atime(), meta.atime_nsec()),
        last_modification: stamp(meta.mtime(), meta.mtime_nsec()),
    };
    rustix::fs::utimensat(CWD, to, &times, AtFlags::SYMLINK_NOFOLLOW)?;
    Ok(())
}

fn xattrs(from: &Path, to: &Path) -> io::Result<()> {
    let mut names = vec![0; 64 << 10];
    let count = match rustix::fs::llistxattr(from, &mut names) {
        Err(rustix::io::Errno::OPNOTSUPP) => return Ok(()),
        count => count?,
    };
    for name in names[..count].split(|&byte| byte == 0).filter(|name| !name.is_empty()) {
        let name = OsString::from_vec(name.to_vec());
        let mut value = vec![0; 64 << 10];
        let length = rustix::fs::lgetxattr(from, name.as_bytes(), &mut value)?;
        rustix::fs::lsetxattr(to, name.as_bytes(), &value[..length], rustix::fs::XattrFlags::empty())?;
    }
    Ok(())
}
