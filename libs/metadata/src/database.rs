//! The handle to everything.

use crate::collect::{GcConfig, GcStats};
use crate::{Containers, Content, Images, Leases, Namespaces, Sandboxes, Snapshots, validate_identifier};
use errdefs::Result;
use events::Exchange;
use snapshots::{Snapshotter, Store};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

/// Makes a snapshotter over the record store it is given.
pub type SnapshotterOpener = Box<dyn FnOnce(Arc<dyn Store>) -> Result<Arc<dyn Snapshotter>>>;

/// Whether a namespace may take a blob that another has, by naming its digest.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SharingPolicy {
    /// It may.
    #[default]
    Shared,
    /// Only from namespaces labelled `containerd.io/namespace.shareable=true`.
    Isolated,
}

/// What a database is opened with.
pub struct Config {
    /// The redb file; made when missing, its directory must exist.
    pub path: PathBuf,
    /// The blobs.
    pub content: content::Store,
    /// Snapshotters by name.
    pub snapshotters: Vec<(String, SnapshotterOpener)>,
    /// Where the events of changes go.
    pub exchange: Exchange,
    /// Content sharing between namespaces.
    pub sharing: SharingPolicy,
    /// When the collector runs.
    pub gc: GcConfig,
}

/// The records of everything; clones share one.
#[derive(Clone)]
pub struct Db {
    inner: Arc<()>,
}

/// The database seen from one namespace, perhaps under a lease; cheap to clone.
#[derive(Clone)]
pub struct Namespace {
    pub(crate) db: Db,
    pub(crate) name: Arc<str>,
    pub(crate) lease: Option<Arc<str>>,
}

impl Db {
    /// Opens the database, makes it when missing, and recovers what a crash left.
    pub fn open(_config: Config) -> Result<Db> {
        todo!()
    }

    /// The view of one namespace; it need not exist. InvalidArgument for a bad identifier.
    pub fn namespace(&self, name: &str) -> Result<Namespace> {
        validate_identifier(name)?;
        Ok(Namespace { db: self.clone(), name: name.into(), lease: None })
    }

    /// The namespaces themselves.
    pub fn namespaces(&self) -> Namespaces {
        todo!()
    }

    /// The snapshotters by name.
    pub fn snapshotters(&self) -> &BTreeMap<String, Arc<dyn Snapshotter>> {
        todo!()
    }

    /// The blobs of every namespace.
    pub fn content_store(&self) -> &content::Store {
        todo!()
    }

    /// Collects now and waits: records without a root, then files without a record.
    pub fn collect(&self) -> Result<GcStats> {
        todo!()
    }

    /// Writes what is not durable yet. Called once, at the end.
    pub fn flush(&self) -> Result<()> {
        todo!()
    }
}

impl Namespace {
    /// The same namespace with everything it touches held by `lease` (the `containerd-lease` header).
    #[must_use]
    pub fn with_lease(&self, lease: &str) -> Namespace {
        Namespace { lease: (!lease.is_empty()).then(|| lease.into()), ..self.clone() }
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The lease that holds what is touched, if any.
    pub fn lease(&self) -> Option<&str> {
        self.lease.as_deref()
    }

    /// Container records.
    pub fn containers(&self) -> Containers {
        Containers(self.clone())
    }

    /// Image records.
    pub fn images(&self) -> Images {
        Images(self.clone())
    }

    /// Blobs, with this namespace's labels.
    pub fn content(&self) -> Content {
        Content(self.clone())
    }

    /// Snapshots of one snapshotter. InvalidArgument when there is none of this name.
    pub fn snapshots(&self, _snapshotter: &str) -> Result<Snapshots> {
        todo!()
    }

    /// Leases.
    pub fn leases(&self) -> Leases {
        Leases(self.clone())
    }

    /// Sandbox records.
    pub fn sandboxes(&self) -> Sandboxes {
        Sandboxes(self.clone())
    }

    /// This namespace's label `key`, such as `containerd.io/defaults/snapshotter`.
    pub fn label(&self, _key: &str) -> Option<String> {
        todo!()
    }
}
