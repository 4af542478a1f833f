//! Mounts on the host that stand only while a container starts: the runtime makes its own from them.

use std::os::fd::{AsFd, AsRawFd};
use std::path::{Path, PathBuf};

use errdefs::{Error, Result};
use rustix::fs::{CWD, Mode, OFlags, ResolveFlags};
use rustix::mount::UnmountFlags;

use crate::files::failed;

/// A file or directory mounted at a path that nobody else can change; it goes when this goes.
pub struct Held {
    at: PathBuf,
}

impl Held {
    /// Mounts the part `subpath` of the directory `root` at `at`. No link leads out of the root, whoever changes
    /// it meanwhile; an empty part is the root itself.
    ///
    /// # Errors
    /// There is no such part, or it cannot be mounted.
    pub fn part(root: &impl AsFd, subpath: &str, at: PathBuf) -> Result<Held> {
        let part = if subpath.is_empty() { "." } else { subpath };
        let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS;
        let flags = OFlags::PATH | OFlags::CLOEXEC;
        let node = rustix::fs::openat2(root, part, flags, Mode::empty(), resolve).map_err(|cause| {
            Error::invalid_argument(format!("cannot access path {part}"))
                .with_source(std::io::Error::from(cause))
        })?;
        let stat = rustix::fs::fstat(&node).map_err(|cause| failed("look at", &at)(cause.into()))?;
        let is_directory =
            rustix::fs::FileType::from_raw_mode(stat.st_mode) == rustix::fs::FileType::Directory;
        place(&at, is_directory)?;
        let source = format!("/proc/self/fd/{}", node.as_raw_fd());
        let held = Held { at };
        rustix::mount::mount_bind_recursive(source.as_str(), held.path())
            .map_err(|cause| failed("mount", held.path())(cause.into()))?;
        Ok(held)
    }

    /// Where it stands.
    pub fn path(&self) -> &Path {
        &self.at
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let _ = rustix::mount::unmount(&self.at, UnmountFlags::DETACH);
        let _ = std::fs::remove_dir(&self.at).or_else(|_| std::fs::remove_file(&self.at));
    }
}

/// Something to mount on.
fn place(at: &Path, is_directory: bool) -> Result<()> {
    if is_directory {
        return std::fs::create_dir_all(at).map_err(failed("make directory", at));
    }
    rustix::fs::openat(CWD, at, OFlags::CREATE | OFlags::WRONLY | OFlags::CLOEXEC, Mode::RUSR)
        .map(drop)
        .map_err(|cause| failed("make", at)(cause.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_is_mounted_and_none_leads_out() {
        let scratch = tempfile::tempdir().unwrap();
        let root = scratch.path().join("root");
        std::fs::create_dir_all(root.join("in/side")).unwrap();
        std::fs::write(root.join("in/side/file"), "x").unwrap();
        std::os::unix::fs::symlink("/etc", root.join("out")).unwrap();
        std::os::unix::fs::symlink("in/side", root.join("link")).unwrap();
        let root = std::fs::File::open(&root).unwrap();
        let at = scratch.path().join("at");
        for part in ["in/side", "link"] {
            let held = Held::part(&root, part, at.clone()).unwrap();
            assert_eq!(std::fs::read_to_string(held.path().join("file")).unwrap(), "x");
        }
        let held = Held::part(&root, "in/side/file", at.clone()).unwrap();
        assert_eq!(std::fs::read_to_string(held.path()).unwrap(), "x");
        drop(held);
        assert!(!at.exists());
        for bad in ["out", "out/passwd", "..", "nothing"] {
            assert!(Held::part(&root, bad, at.clone()).is_err(), "{bad}");
        }
    }
}
