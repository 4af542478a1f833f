//! A tree of mounts that is attached nowhere yet.

use std::fmt;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use rustix::fs::CWD;
use rustix::mount as sys;
use syscalls::mount_attr::{Change, mount_setattr};

use crate::Options;

/// A detached tree of mounts; dropped, it is unmounted unless it was attached.
///
/// The descriptor also stands for the root of the mount after it is attached.
#[derive(Debug)]
pub struct Tree {
    root: OwnedFd,
}

/// The call that failed and why.
#[derive(Debug)]
pub struct Error {
    /// The system call and what it was about.
    pub call: String,
    pub cause: io::Error,
    /// What the filesystem itself said, when it said something.
    pub told: Option<String>,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.call, cause_text(&self.cause))?;
        match &self.told {
            Some(told) => write!(f, " ({told})"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for Error {}

/// The C library's text of an error without Rust's `(os error N)`.
fn cause_text(error: &io::Error) -> String {
    let text = error.to_string();
    let end = text.find(" (os error").unwrap_or(text.len());
    text[..end].to_lowercase()
}

fn failed(call: impl Into<String>) -> impl FnOnce(rustix::io::Errno) -> Error {
    let call = call.into();
    move |errno| Error { call, cause: errno.into(), told: None }
}

impl Tree {
    /// Makes a new filesystem of type `kind`: fsopen, fsconfig, fsmount.
    pub fn filesystem(kind: &str, source: &str, options: &Options) -> Result<Tree, Error> {
        let context =
            sys::fsopen(kind, sys::FsOpenFlags::FSOPEN_CLOEXEC).map_err(failed(format!("fsopen {kind}")))?;
        let told = |error| Error { told: message(&context), ..error };
        if !source.is_empty() {
            sys::fsconfig_set_string(&context, "source", source)
                .map_err(failed(format!("fsconfig source {source}")))
                .map_err(told)?;
        }
        for (key, value) in &options.data {
            match value {
                Some(value) => sys::fsconfig_set_string(&context, key.as_str(), value.as_str()),
                None => sys::fsconfig_set_flag(&context, key.as_str()),
            }
            .map_err(failed(format!("fsconfig {key}")))
            .map_err(told)?;
        }
        sys::fsconfig_create(&context).map_err(failed(format!("create {kind}"))).map_err(told)?;
        let root = sys::fsmount(
            &context,
            sys::FsMountFlags::FSMOUNT_CLOEXEC,
            sys::MountAttrFlags::from_bits_retain(options.change.set as u32),
        )
        .map_err(failed(format!("fsmount {kind}")))?;
        Ok(Tree { root })
    }

    /// Copies the tree at `path` as this process sees it: open_tree(OPEN_TREE_CLONE).
    pub fn copy(path: &Path, recursive: bool, follow: bool) -> Result<Tree, Error> {
        let mut flags = sys::OpenTreeFlags::OPEN_TREE_CLONE | sys::OpenTreeFlags::OPEN_TREE_CLOEXEC;
        flags.set(sys::OpenTreeFlags::AT_RECURSIVE, recursive);
        flags.set(sys::OpenTreeFlags::AT_SYMLINK_NOFOLLOW, !follow);
        sys::open_tree(CWD, path, flags)
            .map(|root| Tree { root })
            .map_err(failed(format!("open_tree {}", path.display())))
    }

    /// Copies the tree that an open descriptor stands for.
    pub fn copy_of(fd: impl AsFd, recursive: bool) -> Result<Tree, Error> {
        let mut flags = sys::OpenTreeFlags::OPEN_TREE_CLONE
            | sys::OpenTreeFlags::OPEN_TREE_CLOEXEC
            | sys::OpenTreeFlags::AT_EMPTY_PATH;
        flags.set(sys::OpenTreeFlags::AT_RECURSIVE, recursive);
        sys::open_tree(fd, c"", flags).map(|root| Tree { root }).map_err(failed("open_tree"))
    }

    /// Changes attributes or propagation; nothing is called when nothing changes.
    pub fn change(&self, change: Change, recursive: bool) -> Result<(), Error> {
        if change == Change::default() {
            return Ok(());
        }
        mount_setattr(self.root.as_fd(), change, recursive, None).map_err(|cause| Error {
            call: "mount_setattr".to_owned(),
            cause,
            told: None,
        })
    }

    /// Maps the ids of a tree that is not attached by a user namespace.
    pub fn map_ids(&self, user_namespace: BorrowedFd<'_>, recursive: bool) -> Result<(), Error> {
        mount_setattr(self.root.as_fd(), Change::default(), recursive, Some(user_namespace))
            .map_err(|cause| Error { call: "mount_setattr idmap".to_owned(), cause, told: None })
    }

    /// Attaches the tree on what `target` stands for, and stays usable as its root.
    pub fn attach(&self, target: impl AsFd) -> Result<(), Error> {
        sys::move_mount(
            self.root.as_fd(),
            c"",
            target,
            c"",
            sys::MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH | sys::MoveMountFlags::MOVE_MOUNT_T_EMPTY_PATH,
        )
        .map_err(failed("move_mount"))
    }

    /// Attaches the tree on the entry `name` of a directory that nobody else can change.
    pub fn attach_at(&self, directory: impl AsFd, name: &str) -> Result<(), Error> {
        let flags = sys::MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH;
        sys::move_mount(self.root.as_fd(), c"", directory, name, flags).map_err(failed("move_mount"))
    }

    /// The root's descriptor.
    pub fn into_fd(self) -> OwnedFd {
        self.root
    }
}

impl AsFd for Tree {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.root.as_fd()
    }
}

impl From<OwnedFd> for Tree {
    fn from(root: OwnedFd) -> Tree {
        Tree { root }
    }
}

/// Reads what the filesystem says about the last error, fsopen(2).
fn message(context: &OwnedFd) -> Option<String> {
    let mut buffer = [0_u8; 512];
    let length = rustix::io::read(context, &mut buffer).ok()?;
    let text = String::from_utf8_lossy(&buffer[..length]).trim().to_owned();
    let text = text.strip_prefix("e ").unwrap_or(&text).to_owned();
    (!text.is_empty()).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filesystem_made_can_be_changed_unattached() {
        let options = Options::parse(&["size=64k", "nosuid", "mode=700"]).unwrap();
        let tree = Tree::filesystem("tmpfs", "tmpfs", &options).unwrap();
        tree.change(Change { set: 1, ..Change::default() }, false).unwrap();
        let error = rustix::fs::mkdirat(&tree, "a", rustix::fs::Mode::RWXU).unwrap_err();
        assert_eq!(error, rustix::io::Errno::ROFS);
    }

    #[test]
    fn an_unknown_option_is_named() {
        let options = Options::parse(&["nonsense=1"]).unwrap();
        let error = Tree::filesystem("tmpfs", "tmpfs", &options).unwrap_err();
        assert!(error.to_string().contains("nonsense"), "{error}");
    }
}
