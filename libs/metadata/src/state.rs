//! Every record, in memory.

use crate::row::{Change, Ingest, Key, Resource, Row, Snapshot};
use containerd_api::services::containers::v1::Container;
use containerd_api::services::content::v1::Info;
use containerd_api::services::images::v1::Image;
use containerd_api::services::leases::v1::Lease;
use containerd_api::types::Sandbox;
use snapshots::{Labels, Record};
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// All records. Changes come as [`Change`]s only, the very ones that are stored.
#[derive(Default)]
pub(crate) struct State {
    pub namespaces: BTreeMap<String, NamespaceState>,
    /// The snapshotters' own records.
    pub backends: BTreeMap<String, Backend>,
    /// Numbers below this one may have been given out.
    pub sequence_limit: u64,
}

/// The records of one namespace.
#[derive(Default)]
pub(crate) struct NamespaceState {
    /// Whether it has a record of its own.
    pub recorded: bool,
    pub labels: Labels,
    pub containers: BTreeMap<String, Container>,
    pub images: BTreeMap<String, Image>,
    pub blobs: BTreeMap<String, Info>,
    pub ingests: BTreeMap<String, Ingest>,
    /// By snapshotter, then key.
    pub snapshots: BTreeMap<String, BTreeMap<String, Snapshot>>,
    pub leases: BTreeMap<String, LeaseState>,
    pub sandboxes: BTreeMap<String, Sandbox>,
}

/// A lease and what it holds.
#[derive(Default)]
pub(crate) struct LeaseState {
    pub lease: Lease,
    pub held: BTreeSet<Resource>,
}

/// One snapshotter's records.
#[derive(Default)]
pub(crate) struct Backend {
    pub records: BTreeMap<String, Record>,
    children: HashMap<String, usize>,
}

impl Backend {
    pub(crate) fn has_children(&self, name: &str) -> bool {
        self.children.contains_key(name)
    }

    fn put(&mut self, name: String, record: Record) {
        let parent = record.parent.clone();
        self.remove(&name);
        self.records.insert(name, record);
        if !parent.is_empty() {
            *self.children.entry(parent).or_default() += 1;
        }
    }

    fn remove(&mut self, name: &str) {
        let Some(old) = self.records.remove(name) else { return };
        if let Some(count) = self.children.get_mut(&old.parent) {
            *count -= 1;
            if *count == 0 {
                self.children.remove(&old.parent);
            }
        }
    }
}

impl NamespaceState {
    /// A snapshot by snapshotter and key.
    pub(crate) fn snapshot(&self, snapshotter: &str, key: &str) -> Option<&Snapshot> {
        self.snapshots.get(snapshotter)?.get(key)
    }
}

impl State {
    /// The namespace's records, if it ever had one.
    pub(crate) fn namespace(&self, name: &str) -> Option<&NamespaceState> {
        self.namespaces.get(name)
    }

    fn of(&mut self, name: String) -> &mut NamespaceState {
        self.namespaces.entry(name).or_default()
    }

    /// Makes one change.
    pub(crate) fn apply(&mut self, change: Change) {
        match change {
            Change::Put(row) => self.put(row),
            Change::Remove(key) => self.remove(key),
        }
    }

    fn put(&mut self, row: Row) {
        match row {
            Row::Namespace(record) => {
                let namespace = self.of(record.name);
                namespace.recorded = true;
                namespace.labels = record.labels;
            }
            Row::Container(namespace, record) => {
                self.of(namespace).containers.insert(record.id.clone(), record);
            }
            Row::Image(namespace, record) => {
                self.of(namespace).images.insert(record.name.clone(), record);
            }
            Row::Blob(namespace, record) => {
                self.of(namespace).blobs.insert(record.digest.clone(), record);
            }
            Row::Ingest(namespace, reference, record) => {
                self.of(namespace).ingests.insert(reference, record);
            }
            Row::Snapshot(namespace, snapshotter, key, record) => {
                self.of(namespace).snapshots.entry(snapshotter).or_default().insert(key, record);
            }
            Row::Backend(snapshotter, name, record) => {
                self.backends.entry(snapshotter).or_default().put(name, record);
            }
            Row::Lease(namespace, lease) => {
                let id = lease.id.clone();
                self.of(namespace).leases.entry(id).or_default().lease = lease;
            }
            Row::Held(namespace, lease, resource) => {
                self.of(namespace).leases.entry(lease).or_default().held.insert(resource);
            }
            Row::Sandbox(namespace, record) => {
                self.of(namespace).sandboxes.insert(record.sandbox_id.clone(), record);
            }
            Row::Sequence(limit) => self.sequence_limit = limit,
        }
    }

    fn remove(&mut self, key: Key) {
        match key {
            Key::Namespace(name) => drop(self.namespaces.remove(&name)),
            Key::Container(namespace, id) => drop(self.of(namespace).containers.remove(&id)),
            Key::Image(namespace, name) => drop(self.of(namespace).images.remove(&name)),
            Key::Blob(namespace, digest) => drop(self.of(namespace).blobs.remove(&digest)),
            Key::Ingest(namespace, reference) => drop(self.of(namespace).ingests.remove(&reference)),
            Key::Snapshot(namespace, snapshotter, key) => {
                if let Some(of) = self.of(namespace).snapshots.get_mut(&snapshotter) {
                    of.remove(&key);
                }
            }
            Key::Backend(snapshotter, name) => {
                if let Some(backend) = self.backends.get_mut(&snapshotter) {
                    backend.remove(&name);
                }
            }
            Key::Lease(namespace, id) => drop(self.of(namespace).leases.remove(&id)),
            Key::Held(namespace, lease, resource) => {
                if let Some(lease) = self.of(namespace).leases.get_mut(&lease) {
                    lease.held.remove(&resource);
                }
            }
            Key::Sandbox(namespace, id) => drop(self.of(namespace).sandboxes.remove(&id)),
            Key::Sequence => {}
        }
    }

    /// Whether a namespace has this blob.
    pub(crate) fn has_blob(&self, digest: &str) -> bool {
        self.namespaces.values().any(|namespace| namespace.blobs.contains_key(digest))
    }
}
