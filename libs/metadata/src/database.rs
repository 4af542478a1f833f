//! The handle to everything.

use crate::backend::BackendStore;
use crate::collect::{GcStats, Runs};
use crate::core::Core;
use crate::pins::Pins;
use crate::schedule::{self, GcConfig, Trigger};
use crate::{Containers, Content, Images, Leases, Namespaces, Sandboxes, Snapshots, validate_identifier};
use errdefs::{Error, Result};
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

impl std::fmt::Display for SharingPolicy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            SharingPolicy::Shared => "shared",
            SharingPolicy::Isolated => "isolated",
        })
    }
}

/// What a database is opened with.
pub struct Config {
    /// The redb file; made when missing, its directory must exist.
    pub path: PathBuf,
    /// The blobs.
    pub content: content::Store,
    /// Snapshotters by name. One that cannot be opened is left out, and its error is kept for introspection.
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
    pub(crate) inner: Arc<Inner>,
}

pub(crate) struct Inner {
    pub(crate) core: Arc<Core>,
    pub(crate) content: content::Store,
    pub(crate) snapshotters: BTreeMap<String, Arc<dyn Snapshotter>>,
    failed_snapshotters: BTreeMap<String, String>,
    pub(crate) sharing: SharingPolicy,
    pub(crate) pins: Pins,
    pub(crate) runs: Runs,
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
    pub fn open(config: Config) -> Result<Db> {
        let db = Db::open_as_it_is(config)?;
        db.recover()?;
        schedule::spawn(&db);
        Ok(db)
    }

    /// Opens the database and leaves everything as a crash may have left it: to look at.
    pub fn open_as_it_is(config: Config) -> Result<Db> {
        let trigger = Trigger::new(config.gc);
        let core = Arc::new(Core::open(config.path, config.exchange, trigger)?);
        let mut snapshotters = BTreeMap::new();
        let mut failed_snapshotters = BTreeMap::new();
        for (name, open) in config.snapshotters {
            let store = Arc::new(BackendStore { core: core.clone(), snapshotter: name.clone() });
            match open(store) {
                Ok(snapshotter) => drop(snapshotters.insert(name, snapshotter)),
                Err(error) => {
                    tracing::warn!(snapshotter = name, error = error.chain(), "snapshotter not loaded");
                    failed_snapshotters.insert(name, error.chain());
                }
            }
        }
        let inner = Inner {
            core,
            content: config.content,
            snapshotters,
            failed_snapshotters,
            sharing: config.sharing,
            pins: Pins::default(),
            runs: Runs::default(),
        };
        Ok(Db { inner: Arc::new(inner) })
    }

    /// The view of one namespace; it need not exist. InvalidArgument for a bad identifier.
    pub fn namespace(&self, name: &str) -> Result<Namespace> {
        validate_identifier(name)
            .map_err(|cause| Error::invalid_argument("namespace validation").with_source(cause))?;
        Ok(Namespace { db: self.clone(), name: name.into(), lease: None })
    }

    /// The namespaces themselves.
    pub fn namespaces(&self) -> Namespaces {
        Namespaces(self.clone())
    }

    /// The snapshotters by name.
    pub fn snapshotters(&self) -> &BTreeMap<String, Arc<dyn Snapshotter>> {
        &self.inner.snapshotters
    }

    /// The snapshotters that could not be opened, and why.
    pub fn failed_snapshotters(&self) -> &BTreeMap<String, String> {
        &self.inner.failed_snapshotters
    }

    /// The blobs of every namespace.
    pub fn content_store(&self) -> &content::Store {
        &self.inner.content
    }

    /// Collects now and waits: records without a root, then files without a record.
    pub fn collect(&self) -> Result<GcStats> {
        self.inner.runs.join(|| self.run_collection(false))
    }

    /// Writes what is not durable yet. Called once, at the end.
    pub fn flush(&self) -> Result<()> {
        self.inner.core.flush()
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

    /// The database it is a view of.
    pub fn db(&self) -> &Db {
        &self.db
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
    pub fn snapshots(&self, snapshotter: &str) -> Result<Snapshots> {
        if snapshotter.is_empty() {
            return Err(Error::invalid_argument("snapshotter argument missing"));
        }
        let backend = self.db.inner.snapshotters.get(snapshotter);
        let backend = backend
            .ok_or_else(|| Error::invalid_argument(format!("snapshotter not loaded: {snapshotter}")))?;
        Ok(Snapshots { namespace: self.clone(), snapshotter: snapshotter.into(), backend: backend.clone() })
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
    pub fn label(&self, key: &str) -> Option<String> {
        self.core().read().namespace(&self.name)?.labels.get(key).cloned()
    }

    pub(crate) fn core(&self) -> &Core {
        &self.db.inner.core
    }

    pub(crate) fn pins(&self) -> &Pins {
        &self.db.inner.pins
    }

    /// The name as the keys of rows want it.
    pub(crate) fn key(&self) -> String {
        self.name.to_string()
    }
}
