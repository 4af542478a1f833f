//! Snapshots of file systems: overlayfs and native.
