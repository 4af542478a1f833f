//! Snapshots as a namespace sees them.

use crate::database::Namespace;
use crate::{Labels, Mount, Usage};
use containerd_api::services::snapshots::v1::Info;
use errdefs::Result;

/// The snapshots of one snapshotter in a namespace.
#[derive(Clone)]
pub struct Snapshots {
    #[allow(dead_code)]
    pub(crate) namespace: Namespace,
}

impl Snapshots {
    /// The record of one. NotFound.
    pub fn stat(&self, _key: &str) -> Result<Info> {
        todo!()
    }
    /// Those that match one of the filters, by name.
    pub fn list(&self, _filters: &[String]) -> Result<Vec<Info>> {
        todo!()
    }
    /// Changes labels: paths `labels` or `labels.K`; none replaces them all.
    pub fn update(&self, _info: &Info, _paths: &[String]) -> Result<Info> {
        todo!()
    }
    /// Disk usage, parents not counted.
    pub fn usage(&self, _key: &str) -> Result<Usage> {
        todo!()
    }
    /// The mounts of an active snapshot or view.
    pub fn mounts(&self, _key: &str) -> Result<Vec<Mount>> {
        todo!()
    }
    /// Makes a writable snapshot; `parent` is empty or committed. It joins the lease.
    pub fn prepare(&self, _key: &str, _parent: &str, _labels: &Labels) -> Result<Vec<Mount>> {
        todo!()
    }
    /// Makes a read-only one.
    pub fn view(&self, _key: &str, _parent: &str, _labels: &Labels) -> Result<Vec<Mount>> {
        todo!()
    }
    /// Commits the active `key` under `name`; a `parent` given for one without rebases it.
    pub fn commit(&self, _name: &str, _key: &str, _parent: &str, _labels: &Labels) -> Result<()> {
        todo!()
    }
    /// Removes one without children.
    pub fn remove(&self, _key: &str) -> Result<()> {
        todo!()
    }
    /// Removes directories that nothing names.
    pub fn cleanup(&self) -> Result<()> {
        todo!()
    }
}
