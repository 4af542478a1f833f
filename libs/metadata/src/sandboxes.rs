//! Sandbox records.

use crate::database::Namespace;
use containerd_api::types::Sandbox;
use errdefs::Result;

/// The sandboxes of a namespace.
#[derive(Clone)]
pub struct Sandboxes(pub(crate) Namespace);

impl Sandboxes {
    /// One record. NotFound.
    pub fn get(&self, _id: &str) -> Result<Sandbox> {
        todo!()
    }
    /// Those that match one of the filters (`id`, `labels.K`).
    pub fn list(&self, _filters: &[String]) -> Result<Vec<Sandbox>> {
        todo!()
    }
    /// Stores a record. AlreadyExists, InvalidArgument.
    pub fn create(&self, _sandbox: Sandbox) -> Result<Sandbox> {
        todo!()
    }
    /// Changes `labels(.K)`, `extensions(.K)`, `runtime`, `spec`; none means all.
    pub fn update(&self, _sandbox: Sandbox, _paths: &[String]) -> Result<Sandbox> {
        todo!()
    }
    /// Forgets the record. NotFound.
    pub fn delete(&self, _id: &str) -> Result<()> {
        todo!()
    }
}
