//! Snapshots: stacks of file system layers, committed ones immutable, active ones writable.
//!
//! A snapshot has a key while active and a name once committed; both live in one space of names.
//! The directories are containerd's (`snapshots/<id>/{fs,work}`); the records live in a [`Store`] that the
//! owner provides, so that they can share a transaction with the owner's own.

mod base;
mod copy;
mod mapping;
mod memory;
mod native;
mod overlay;
mod probe;
mod record;
mod snapshotter;
mod usage;

pub use containerd_api::services::snapshots::v1::{Info, Kind};
pub use containerd_api::types::Mount;
pub use memory::MemoryStore;
pub use native::Native;
pub use overlay::{Overlay, OverlayOptions};
pub use record::{Change, Record, Store};
pub use snapshotter::{Labels, Snapshotter, Usage, Whiteouts};

/// Label: the name under which the prepared snapshot will be committed (remote snapshotters).
pub const LABEL_REF: &str = "containerd.io/snapshot.ref";
/// Whether a snapshot is what a remote snapshotter made for the name `target` of [`LABEL_REF`], on `parent`.
pub fn is_target(info: &Info, target: &str, parent: &str) -> bool {
    let is_named = info.labels.get(LABEL_REF).is_some_and(|named| named == target);
    is_named && info.kind() == Kind::Committed && info.parent == parent
}

/// Prefix of the labels that reach the snapshotter.
pub const LABEL_PREFIX: &str = "containerd.io/snapshot/";
/// Label: `container:host:size[,...]` for user ids.
pub const LABEL_UID_MAPPING: &str = "containerd.io/snapshot/uidmapping";
/// Label: `container:host:size[,...]` for group ids.
pub const LABEL_GID_MAPPING: &str = "containerd.io/snapshot/gidmapping";
