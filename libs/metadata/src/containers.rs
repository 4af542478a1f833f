//! Container records.

use crate::database::Namespace;
use containerd_api::services::containers::v1::Container;
use errdefs::Result;

/// The containers of a namespace.
#[derive(Clone)]
pub struct Containers(pub(crate) Namespace);

impl Containers {
    /// One record. NotFound.
    pub fn get(&self, _id: &str) -> Result<Container> {
        todo!()
    }
    /// Those that match one of the filters, by id. InvalidArgument for a bad filter.
    pub fn list(&self, _filters: &[String]) -> Result<Vec<Container>> {
        todo!()
    }
    /// Stores a record; times are set here. AlreadyExists, InvalidArgument.
    pub fn create(&self, _container: Container) -> Result<Container> {
        todo!()
    }
    /// Changes the fields that `paths` name (`labels.K`, `spec`, `extensions.K`, `image`, `snapshotkey`).
    pub fn update(&self, _container: Container, _paths: &[String]) -> Result<Container> {
        todo!()
    }
    /// Forgets the record. NotFound.
    pub fn delete(&self, _id: &str) -> Result<()> {
        todo!()
    }
}
