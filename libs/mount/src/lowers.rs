//! Lower directories of an overlay whose ids are mapped (user namespaces, containerd's remapping snapshotters).

use std::os::fd::BorrowedFd;
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, Mode, OFlags};
use rustix::mount::UnmountFlags;

use crate::{Error, Tree};

/// Lower directories with mapped ids. An overlay takes only directories that are mounted somewhere, so they are,
/// below one directory, until this is dropped: the overlay has its own hold of them then.
#[derive(Debug)]
pub struct MappedLowers {
    directory: PathBuf,
    count: usize,
}

impl MappedLowers {
    /// Replaces the directories of `lowerdir=` in the option `words` by ones below `directory`, which is made and
    /// nobody else's. On disk is what the user namespace maps from, in the mount what it maps to.
    ///
    /// # Errors
    /// A directory is gone, or its file system cannot map ids. Nothing stays mounted.
    pub fn map(
        words: &mut [String],
        namespace: BorrowedFd<'_>,
        directory: PathBuf,
    ) -> Result<MappedLowers, Error> {
        let mut lowers = MappedLowers { directory, count: 0 };
        for word in words {
            let Some(list) = word.strip_prefix("lowerdir=") else { continue };
            let mapped: Result<Vec<String>, Error> =
                list.split(':').map(|lower| lowers.add(Path::new(lower), namespace)).collect();
            *word = format!("lowerdir={}", mapped?.join(":"));
        }
        Ok(lowers)
    }

    fn add(&mut self, lower: &Path, namespace: BorrowedFd<'_>) -> Result<String, Error> {
        let place = self.directory.join(self.count.to_string());
        let failed = |call: &str, cause: std::io::Error| Error {
            call: format!("{call} {}", place.display()),
            cause,
            told: None,
        };
        std::fs::create_dir_all(&place).map_err(|cause| failed("mkdir", cause))?;
        self.count += 1;
        let tree = Tree::copy(lower, false, true)?;
        tree.map_ids(namespace, false)?;
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let target = rustix::fs::openat(CWD, &place, flags, Mode::empty())
            .map_err(|cause| failed("open", cause.into()))?;
        tree.attach(target)?;
        Ok(place.display().to_string())
    }

    /// Takes away what a process that was killed may have left below such a directory.
    pub fn clean(directory: &Path) {
        let Ok(entries) = std::fs::read_dir(directory) else { return };
        for entry in entries.flatten() {
            // One that was never attached is not mounted.
            let _ = rustix::mount::unmount(entry.path(), UnmountFlags::DETACH | UnmountFlags::NOFOLLOW);
            let _ = std::fs::remove_dir(entry.path());
        }
        let _ = std::fs::remove_dir(directory);
    }
}

impl Drop for MappedLowers {
    fn drop(&mut self) {
        MappedLowers::clean(&self.directory);
    }
}
