//! Leases: roots of garbage collection that a client holds.

use crate::Labels;
use crate::database::Namespace;
use containerd_api::services::leases::v1::{Lease, Resource};
use errdefs::Result;

/// The leases of a namespace.
#[derive(Clone)]
pub struct Leases(pub(crate) Namespace);

impl Leases {
    /// Makes a lease; an empty id is chosen here. Label `containerd.io/gc.expire` (RFC 3339) ends it.
    pub fn create(&self, _id: &str, _labels: Labels) -> Result<Lease> {
        todo!()
    }
    /// Ends a lease; `sync` collects before returning. NotFound.
    pub fn delete(&self, _id: &str, _sync: bool) -> Result<()> {
        todo!()
    }
    /// Those that match one of the filters, by id.
    pub fn list(&self, _filters: &[String]) -> Result<Vec<Lease>> {
        todo!()
    }
    /// Adds a resource of type `content`, `ingests`, `images` or `snapshots/NAME`.
    pub fn add_resource(&self, _id: &str, _resource: &Resource) -> Result<()> {
        todo!()
    }
    /// Takes a resource away.
    pub fn delete_resource(&self, _id: &str, _resource: &Resource) -> Result<()> {
        todo!()
    }
    /// What a lease holds.
    pub fn resources(&self, _id: &str) -> Result<Vec<Resource>> {
        todo!()
    }
}
