//! Space set aside, so that deletions go through on a full disk and give space back.

use rustix::fs::FallocateFlags;
use std::fs::{self, OpenOptions};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

/// Bytes set aside: more than the file of records grows by in a few hundred deletions.
const SIZE: u64 = 4 << 20;

/// The file that holds the space; while it is given up, only deletions are taken.
pub(crate) struct Reserve {
    path: PathBuf,
    released: AtomicBool,
}

impl Reserve {
    /// Sets the space aside, if there is any. On a disk that is full already only deletions are taken.
    pub(crate) fn take(path: PathBuf) -> Reserve {
        let reserve = Reserve { path, released: AtomicBool::new(true) };
        reserve.restore();
        reserve
    }

    /// Gives the space up; false when that was done before.
    pub(crate) fn release(&self) -> bool {
        !self.released.swap(true, Ordering::AcqRel) && fs::remove_file(&self.path).is_ok()
    }

    /// Whether the disk is full: the space is given up and cannot be had back.
    pub(crate) fn is_full(&self) -> bool {
        self.released.load(Ordering::Acquire) && !self.restore()
    }

    fn restore(&self) -> bool {
        let restored = allocate(&self.path).is_ok();
        if restored {
            self.released.store(false, Ordering::Release);
        } else {
            // Half of it would only be in the way.
            let _ = fs::remove_file(&self.path);
        }
        restored
    }
}

fn allocate(path: &Path) -> std::io::Result<()> {
    let file = OpenOptions::new().write(true).create(true).truncate(false).open(path)?;
    match rustix::fs::fallocate(&file, FallocateFlags::empty(), 0, SIZE) {
        // A file system that cannot promise space is taken as it is.
        Err(rustix::io::Errno::OPNOTSUPP) => Ok(()),
        outcome => Ok(outcome?),
    }
}
