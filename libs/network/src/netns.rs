//! A network namespace kept by a file.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use crate::Result;

/// An open network namespace whose file is its name.
#[derive(Debug)]
pub struct Netns {
    path: PathBuf,
    fd: OwnedFd,
}

impl Netns {
    /// Makes a namespace with nothing but `lo`, up, and binds it at `path`, which must not exist;
    /// its directory must. This alone is `--network none`.
    pub fn create(path: &Path) -> Result<Netns> {
        todo!("{}", path.display())
    }

    /// Opens one that exists, such as another container's or `/proc/PID/ns/net`.
    pub fn open(path: &Path) -> Result<Netns> {
        todo!("{}", path.display())
    }

    /// Unmounts and unlinks the file. The kernel ends the namespace, and every veth pair in it,
    /// when the last process and descriptor are gone. Absent is success.
    pub fn remove(path: &Path) -> Result<()> {
        todo!("{}", path.display())
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl AsFd for Netns {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}
