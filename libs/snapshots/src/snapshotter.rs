//! The interface that every snapshotter has.

use crate::{Info, Mount};
use errdefs::{Error, Result};
use std::collections::HashMap;

/// Labels of an object.
pub type Labels = HashMap<String, String>;

/// What a snapshot takes of the disk, its parents not counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Bytes of blocks.
    pub size: u64,
    /// Inodes; a hard-linked file counts once.
    pub inodes: u64,
}

/// How a layer's deletions are kept in what a snapshotter gives to write to. It is the snapshotter's to say: the
/// mounts of a snapshot without a parent do not show it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Whiteouts {
    /// The entry is removed: what is below was copied.
    #[default]
    Remove,
    /// A device 0/0 in its place, opaque directories marked by `trusted.overlay.opaque`.
    Overlay,
    /// The same, marked by `user.overlay.opaque` (`userxattr`).
    OverlayUser,
}

/// A snapshotter (containerd core/snapshots). Every call may block on the disk.
///
/// Life: `prepare` or `view` makes an active or read-only snapshot over a committed parent (or none, `""`),
/// the caller mounts what they return, `commit` turns an active one into a parent for others, `remove` ends it.
pub trait Snapshotter: Send + Sync {
    /// What introspection says it can do: `remap-ids`, `rebase`.
    fn capabilities(&self) -> Vec<String> {
        Vec::new()
    }
    /// How deletions are kept in an active snapshot. It counts for one without a parent too where `rebase` is
    /// offered: what it deletes may be in the parent that it gets at commit.
    fn whiteouts(&self) -> Whiteouts {
        Whiteouts::Remove
    }
    /// The directory that holds it, as introspection exports it.
    fn root(&self) -> &std::path::Path;
    /// What introspection tells of it, in containerd's words.
    fn exports(&self) -> HashMap<String, String> {
        HashMap::from([("root".to_owned(), self.root().display().to_string())])
    }
    /// The record of one snapshot. NotFound.
    fn stat(&self, key: &str) -> Result<Info>;
    /// Changes labels: `labels` or `labels.K`; no paths replaces them all. InvalidArgument for other paths.
    fn update(&self, info: &Info, paths: &[String]) -> Result<Info>;
    /// Disk usage: recorded at commit, walked while active.
    fn usage(&self, key: &str) -> Result<Usage>;
    /// The mounts of an active snapshot or view. FailedPrecondition for a committed one.
    fn mounts(&self, key: &str) -> Result<Vec<Mount>>;
    /// Makes a writable snapshot. AlreadyExists; NotFound or InvalidArgument for the parent.
    fn prepare(&self, key: &str, parent: &str, labels: &Labels) -> Result<Vec<Mount>>;
    /// Makes a read-only snapshot.
    fn view(&self, key: &str, parent: &str, labels: &Labels) -> Result<Vec<Mount>>;
    /// Commits the active `key` under `name`. A `parent` given for a snapshot without one rebases it.
    fn commit(&self, name: &str, key: &str, parent: &str, labels: &Labels) -> Result<()>;
    /// Removes one without children. Its files go with it, or with the next `cleanup`.
    fn remove(&self, key: &str) -> Result<()>;
    /// Every snapshot, in the order of names.
    fn walk(&self) -> Result<Vec<Info>>;
    /// Makes the directories again that a power failure took from active snapshots, and names the committed
    /// ones that are lost: their layers are gone. Called before anything else.
    fn heal(&self) -> Result<Vec<String>> {
        Ok(Vec::new())
    }
    /// Removes directories that no record names.
    fn cleanup(&self) -> Result<()> {
        Err(Error::unimplemented("snapshotter does not implement Cleanup method"))
    }
}
