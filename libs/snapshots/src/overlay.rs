//! Layers merged by the kernel's overlayfs.

use crate::Store;
use errdefs::Result;
use std::path::PathBuf;
use std::sync::Arc;

/// Settings of the overlayfs snapshotter (containerd's `io.containerd.snapshotter.v1.overlayfs`).
#[derive(Clone, Debug, Default)]
pub struct OverlayOptions {
    /// Mount options put after the directories.
    pub mount_options: Vec<String>,
    /// Whether snapshots carry the label `containerd.io/snapshot/overlay.upperdir`.
    pub upperdir_label: bool,
    /// Whether `remove` waits for the files to be gone.
    pub sync_remove: bool,
}

/// The overlayfs snapshotter.
pub struct Overlay {
    #[allow(dead_code)]
    root: PathBuf,
}

impl Overlay {
    /// Opens the directory; refused where the file system cannot hold overlay layers (no d_type).
    pub fn open(_root: PathBuf, _store: Arc<dyn Store>, _options: OverlayOptions) -> Result<Overlay> {
        todo!()
    }
}
