//! Image records.

use crate::database::Namespace;
use containerd_api::Timestamp;
use containerd_api::services::images::v1::Image;
use containerd_api::types::Descriptor;
use errdefs::Result;

/// The images of a namespace.
#[derive(Clone)]
pub struct Images(pub(crate) Namespace);

impl Images {
    /// By exact name. NotFound.
    pub fn get(&self, _name: &str) -> Result<Image> {
        todo!()
    }
    /// Those that match one of the filters, by name.
    pub fn list(&self, _filters: &[String]) -> Result<Vec<Image>> {
        todo!()
    }
    /// Stores a record; `epoch` sets its creation time. AlreadyExists, InvalidArgument.
    pub fn create(&self, _image: Image, _epoch: Option<Timestamp>) -> Result<Image> {
        todo!()
    }
    /// Changes the fields that `paths` name (`labels`, `labels.K`, `target`, `annotations.K`); none means all.
    pub fn update(&self, _image: Image, _paths: &[String], _epoch: Option<Timestamp>) -> Result<Image> {
        todo!()
    }
    /// Creates the record or moves the name to this target and these labels.
    pub fn create_or_update(&self, _image: Image) -> Result<Image> {
        todo!()
    }
    /// Forgets the record, when `target` is given only if it still points there; `sync` collects before returning.
    pub fn delete(&self, _name: &str, _target: Option<&Descriptor>, _sync: bool) -> Result<()> {
        todo!()
    }
}
