//! What a directory takes of the disk.

use crate::Usage;
use std::collections::HashSet;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// Blocks and inodes below `directory`, itself included. A file with several links counts once; one that
/// vanishes meanwhile counts not at all.
pub(crate) fn walk(directory: &Path) -> io::Result<Usage> {
    let mut usage = Usage::default();
    let mut linked = HashSet::new();
    let mut stack = vec![directory.to_owned()];
    count(&mut usage, &mut linked, &fs::symlink_metadata(directory)?);
    while let Some(directory) = stack.pop() {
        let entries = match fs::read_dir(&directory) {
            Err(cause) if cause.kind() == io::ErrorKind::NotFound => continue,
            entries => entries?,
        };
        for entry in entries {
            let entry = entry?;
            let meta = match entry.metadata() {
                Err(cause) if cause.kind() == io::ErrorKind::NotFound => continue,
                meta => meta?,
            };
            count(&mut usage, &mut linked, &meta);
            if meta.is_dir() {
                stack.push(entry.path());
            }
        }
    }
    Ok(usage)
}

fn count(usage: &mut Usage, linked: &mut HashSet<(u64, u64)>, meta: &fs::Metadata) {
    if !meta.is_dir() && meta.nlink() > 1 && !linked.insert((meta.dev(), meta.ino())) {
        return;
    }
    usage.inodes += 1;
    usage.size += meta.blocks() * 512;
}
