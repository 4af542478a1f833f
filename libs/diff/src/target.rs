//! The tree that mounts stand for, by descriptor.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use archive::{Lowers, Options, Whiteouts};
use containerd_api::types::Mount;
use errdefs::{Error, Result};
use rustix::fs::{self, CWD, Mode, OFlags};
use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, MountFlags, OpenTreeFlags, fsconfig_create, fsconfig_set_flag,
    fsconfig_set_string, fsmount, fsopen, open_tree,
};

/// A tree to apply to or to read: a directory of the host, or mounts attached nowhere, which end with it.
pub struct Target {
    root: OwnedFd,
    whiteouts: Whiteouts,
    lowers: Below,
}

/// The layers below.
enum Below {
    /// Paths, nearest first.
    Known(Vec<String>),
    Awaited,
}

impl Target {
    /// A directory; whiteouts remove.
    ///
    /// # Errors
    /// It cannot be opened.
    pub fn directory(path: &Path) -> Result<Target> {
        Ok(Target {
            root: open_directory(path)?,
            whiteouts: Whiteouts::Remove,
            lowers: Below::Known(Vec::new()),
        })
    }

    /// What `mounts` of a snapshot over nothing give to write to, for a layer whose place is on others that
    /// are not here yet: what it takes away from them is kept as `whiteouts` say. See [`crate::needs_lowers`].
    ///
    /// # Errors
    /// As [`Target::writable`].
    pub fn awaiting(mounts: &[Mount], whiteouts: Whiteouts) -> Result<Target> {
        Ok(Target { whiteouts, lowers: Below::Awaited, ..Target::writable(mounts)? })
    }

    /// What `mounts` give to write to: the upper directory of an overlay, with overlay's whiteouts; the
    /// source of a bind mount; anything else by mounting it.
    ///
    /// # Errors
    /// InvalidArgument: there are none, or more than one. Otherwise what opening or mounting says.
    pub fn writable(mounts: &[Mount]) -> Result<Target> {
        let mount = only(mounts)?;
        if mount.r#type == "overlay"
            && let Some(upper) = option(mount, "upperdir")
        {
            let user = mount.options.iter().any(|option| option == "userxattr");
            let whiteouts = if user { Whiteouts::OverlayUser } else { Whiteouts::Overlay };
            return Ok(Target {
                root: open_directory(Path::new(upper))?,
                whiteouts,
                lowers: Below::Known(lowers(mount)),
            });
        }
        Target::readable(mounts)
    }

    /// What `mounts` show to somebody who reads; no mounts are the empty tree.
    ///
    /// # Errors
    /// As [`Target::writable`].
    pub fn readable(mounts: &[Mount]) -> Result<Target> {
        let mount = only(mounts)?;
        let is_bind = mount.r#type == "bind"
            || mount.options.iter().any(|option| option == "bind" || option == "rbind");
        if is_bind {
            return Target::directory(Path::new(&mount.source));
        }
        Ok(Target { root: detached(mount)?, whiteouts: Whiteouts::Remove, lowers: Below::Known(Vec::new()) })
    }

    /// The top directory.
    pub fn root(&self) -> BorrowedFd<'_> {
        self.root.as_fd()
    }

    /// Brings the file system to the disk, all at once (syncfs(2)).
    ///
    /// # Errors
    /// A write failed, now or since the tree was opened.
    pub fn sync(&self) -> Result<()> {
        let root =
            fs::openat(&self.root, ".", OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty());
        root.and_then(fs::syncfs).map_err(|cause| Error::unknown("cannot sync layer").with_source(io(cause)))
    }

    pub(crate) fn options(&self) -> Result<Options> {
        let lowers = match &self.lowers {
            Below::Awaited => Lowers::Awaited,
            Below::Known(paths) => Lowers::Known(
                paths.iter().map(|path| open_directory(Path::new(path))).collect::<Result<_>>()?,
            ),
        };
        Ok(Options { whiteouts: self.whiteouts, lowers })
    }
}

/// The value of `key=` among a mount's options.
pub(crate) fn option<'a>(mount: &'a Mount, key: &str) -> Option<&'a str> {
    mount.options.iter().find_map(|option| option.strip_prefix(key)?.strip_prefix('='))
}

/// The lower directories, nearest first.
pub(crate) fn lowers(mount: &Mount) -> Vec<String> {
    option(mount, "lowerdir").map(|list| list.split(':').map(str::to_owned).collect()).unwrap_or_default()
}

fn only(mounts: &[Mount]) -> Result<&Mount> {
    match mounts {
        [mount] => Ok(mount),
        [] => Err(Error::invalid_argument("no mounts given")),
        _ => Err(Error::invalid_argument(format!("cannot use {} mounts as one tree", mounts.len()))),
    }
}

pub(crate) fn open_directory(path: &Path) -> Result<OwnedFd> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    fs::openat(CWD, path, flags, Mode::empty()).map_err(|cause| {
        Error::unknown(format!("cannot open directory {}", path.display())).with_source(io(cause))
    })
}

/// Mounts without a mount point: nothing is left behind, whenever we die.
fn detached(mount: &Mount) -> Result<OwnedFd> {
    let fail = |call: &str, cause: rustix::io::Errno| {
        let what = format!("cannot mount {} of type {}: {call}", mount.source, mount.r#type);
        Error::unknown(what).with_source(io(cause))
    };
    let context =
        fsopen(mount.r#type.as_str(), FsOpenFlags::FSOPEN_CLOEXEC).map_err(|e| fail("fsopen", e))?;
    let source = if mount.source.is_empty() { "none" } else { &mount.source };
    fsconfig_set_string(context.as_fd(), "source", source).map_err(|e| fail("source", e))?;
    let mut attributes = MountAttrFlags::empty();
    for option in &mount.options {
        match option.split_once('=') {
            // One value holds at most 255 bytes, a list of layers is longer.
            Some(("lowerdir", list)) => {
                for lower in list.split(':') {
                    fsconfig_set_string(context.as_fd(), "lowerdir+", lower).map_err(|e| fail(lower, e))?;
                }
            }
            // They mean the mount's writers; a reader needs none of it.
            Some(("uidmap" | "gidmap", _)) => {}
            Some((key, value)) => {
                fsconfig_set_string(context.as_fd(), key, value).map_err(|e| fail(option, e))?;
            }
            None if option == "ro" => attributes |= MountAttrFlags::MOUNT_ATTR_RDONLY,
            None if matches!(option.as_str(), "rw" | "volatile") => {}
            None => fsconfig_set_flag(context.as_fd(), option.as_str()).map_err(|e| fail(option, e))?,
        }
    }
    match fsconfig_create(context.as_fd()) {
        Ok(()) => fsmount(context.as_fd(), FsMountFlags::FSMOUNT_CLOEXEC, attributes)
            .map_err(|e| fail("fsmount", e)),
        Err(error) => attached_and_let_go(mount).map_err(|_| fail("fsconfig", error)),
    }
}

/// For kernels before 6.5, which know no `lowerdir+`: mount on a directory of our own, open, unmount.
fn attached_and_let_go(mount: &Mount) -> rustix::io::Result<OwnedFd> {
    let point = std::env::temp_dir().join(format!(
        "wherry-diff-{}-{:?}",
        std::process::id(),
        std::thread::current().id()
    ));
    std::fs::create_dir_all(&point)
        .map_err(|e| rustix::io::Errno::from_io_error(&e).unwrap_or(rustix::io::Errno::IO))?;
    let data = mount
        .options
        .iter()
        .filter(|o| !matches!(o.as_str(), "ro" | "rw"))
        .cloned()
        .collect::<Vec<_>>()
        .join(",");
    let mut flags = MountFlags::empty();
    if mount.options.iter().any(|option| option == "ro") {
        flags |= MountFlags::RDONLY;
    }
    let data = std::ffi::CString::new(data).map_err(|_| rustix::io::Errno::INVAL)?;
    let mounted =
        rustix::mount::mount(mount.source.as_str(), &point, mount.r#type.as_str(), flags, data.as_c_str());
    let opened = mounted.and_then(|()| {
        let tree = open_tree(CWD, &point, OpenTreeFlags::OPEN_TREE_CLOEXEC | OpenTreeFlags::OPEN_TREE_CLONE);
        rustix::mount::unmount(&point, rustix::mount::UnmountFlags::DETACH)?;
        tree
    });
    // Best effort: it is empty, and it is ours.
    let _ = std::fs::remove_dir(&point);
    opened
}

pub(crate) fn io(cause: rustix::io::Errno) -> std::io::Error {
    cause.into()
}
