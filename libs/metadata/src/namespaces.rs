//! The namespaces themselves.

use crate::database::Db;
use containerd_api::services::namespaces::v1::Namespace as Record;
use errdefs::Result;

/// Every namespace.
#[derive(Clone)]
pub struct Namespaces(#[allow(dead_code)] pub(crate) Db);

impl Namespaces {
    /// Name and labels; a name never used has none.
    pub fn get(&self, _name: &str) -> Result<Record> {
        todo!()
    }
    /// All of them, by name.
    pub fn list(&self) -> Result<Vec<Record>> {
        todo!()
    }
    /// Makes one. AlreadyExists.
    pub fn create(&self, _record: Record) -> Result<Record> {
        todo!()
    }
    /// Changes labels: paths `labels.K`; none replaces them all.
    pub fn update(&self, _record: Record, _paths: &[String]) -> Result<Record> {
        todo!()
    }
    /// Removes an empty one. FailedPrecondition names what is left in it.
    pub fn delete(&self, _name: &str) -> Result<()> {
        todo!()
    }
}
