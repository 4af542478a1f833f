//! Every object with its reason to live, and what is wrong with it: for a person who wonders where the space went.

use crate::database::Db;
use crate::mark::{Node, Why, reasons};
use crate::state::{NamespaceState, State};
use content::Digest;
use errdefs::{Kind, Result};
use snapshots::Snapshotter;
use std::collections::{HashMap, HashSet};
use std::fmt;
use std::time::SystemTime;

/// One object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Object {
    /// Empty for files that no record names.
    pub namespace: String,
    /// `image`, `content`, `snapshot overlayfs`, `container`, `lease`, `ingest`, `sandbox`.
    pub kind: String,
    /// Its name there.
    pub name: String,
    /// What keeps it; `None` when the next collection takes it.
    pub reason: Option<String>,
    /// What is wrong with it.
    pub fault: Option<String>,
}

impl fmt::Display for Node<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Node::Content(digest) => write!(f, "content {digest}"),
            Node::Image(name) => write!(f, "image {name}"),
            Node::Container(id) => write!(f, "container {id}"),
            Node::Snapshot(snapshotter, key) => write!(f, "snapshot {snapshotter} {key}"),
        }
    }
}

impl fmt::Display for Why<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Why::Root => f.write_str("it is a root"),
            Why::Label => f.write_str("label containerd.io/gc.root"),
            Why::Lease(id) => write!(f, "lease {id}"),
            Why::Sandbox(id) => write!(f, "sandbox {id}"),
            Why::Work => f.write_str("work under way"),
            Why::Ingest(reference) => write!(f, "ingest {reference}"),
            Why::Other(node) => node.fmt(f),
        }
    }
}

/// One namespace under account.
struct Account<'a> {
    namespace: &'a str,
    why: HashMap<Node<'a>, Why<'a>>,
    objects: Vec<Object>,
}

impl<'a> Account<'a> {
    fn add(&mut self, node: Node<'a>, kind: &str, name: &str, fault: Option<String>) {
        let reason = self.why.get(&node).map(Why::to_string);
        self.push(kind, name, reason, fault);
    }

    fn push(&mut self, kind: &str, name: &str, reason: Option<String>, fault: Option<String>) {
        let (namespace, kind, name) = (self.namespace.to_owned(), kind.to_owned(), name.to_owned());
        self.objects.push(Object { namespace, kind, name, reason, fault });
    }
}

impl Db {
    /// Every object of every namespace, then files that no record names; `hash` reads every blob as well.
    ///
    /// # Errors
    /// A directory cannot be listed.
    pub fn account(&self, hash: bool) -> Result<Vec<Object>> {
        let state = self.inner.core.read();
        let mut objects = Vec::new();
        for (name, records) in &state.namespaces {
            objects.extend(self.namespace_account(name, records, &state, hash));
        }
        objects.extend(self.unrecorded(&state)?);
        Ok(objects)
    }

    fn namespace_account(
        &self,
        name: &str,
        records: &NamespaceState,
        state: &State,
        hash: bool,
    ) -> Vec<Object> {
        let now = SystemTime::now();
        let mut account = Account { namespace: name, why: reasons(name, records, now), objects: Vec::new() };
        for (id, lease) in &records.leases {
            let ends = lease.lease.labels.get("containerd.io/gc.expire");
            let reason = ends.map_or("until it is deleted".to_owned(), |ends| format!("until {ends}"));
            account.push("lease", id, Some(reason), None);
        }
        for (image, record) in &records.images {
            let target = record.target.as_ref().map_or("", |target| &target.digest);
            let whole = records.blobs.contains_key(target);
            account.add(
                Node::Image(image),
                "image",
                image,
                (!whole).then(|| format!("its target {target} is missing")),
            );
        }
        for (id, container) in &records.containers {
            let (snapshotter, key) = (&container.snapshotter, &container.snapshot_key);
            let whole = key.is_empty() || records.snapshot(snapshotter, key).is_some();
            account.add(
                Node::Container(id),
                "container",
                id,
                (!whole).then(|| format!("its snapshot {snapshotter} {key} is missing")),
            );
        }
        for id in records.sandboxes.keys() {
            account.push("sandbox", id, Some("until it is deleted".into()), None);
        }
        for (digest, info) in &records.blobs {
            let fault = self.blob_fault(digest, u64::try_from(info.size).unwrap_or_default(), hash);
            account.add(Node::Content(digest), "content", digest, fault);
        }
        for (reference, ingest) in &records.ingests {
            let fault =
                self.inner.content.status(&ingest.backend).err().map(|_| "its bytes are missing".into());
            let reason = if ingest.expires_at.is_some() { "for a day" } else { "a lease" };
            account.push("ingest", reference, Some(reason.into()), fault);
        }
        for (snapshotter, snapshots) in &records.snapshots {
            let kind = format!("snapshot {snapshotter}");
            for (key, snapshot) in snapshots {
                let fault = self.snapshot_fault(state, snapshotter, &snapshot.backend);
                account.add(Node::Snapshot(snapshotter, key), &kind, key, fault);
            }
        }
        account.objects
    }

    fn blob_fault(&self, digest: &str, size: u64, hash: bool) -> Option<String> {
        let Ok(parsed) = Digest::parse(digest) else { return Some("its name is no digest".into()) };
        match self.inner.content.info(&parsed) {
            Err(error) if error.kind() == Kind::NotFound => return Some("its file is missing".into()),
            Err(error) => return Some(error.chain()),
            Ok(found) if found.size != size => {
                return Some(format!("its file has {} bytes, not {size}", found.size));
            }
            Ok(_) => {}
        }
        if !hash {
            return None;
        }
        match self.inner.content.is_sound(&parsed) {
            Ok(true) => None,
            Ok(false) => Some("its bytes have another digest".into()),
            Err(error) => Some(error.chain()),
        }
    }

    fn snapshot_fault(&self, state: &State, snapshotter: &str, backend: &str) -> Option<String> {
        let Some(driver) = self.inner.snapshotters.get(snapshotter) else {
            return Some(format!("snapshotter {snapshotter} is not loaded"));
        };
        let record = state.backends.get(snapshotter).and_then(|of| of.records.get(backend));
        let Some(record) = record else { return Some("the snapshotter does not know it".into()) };
        let directory = snapshots_of(&**driver).join(record.id.to_string());
        (!directory.is_dir()).then(|| format!("its directory {} is missing", directory.display()))
    }

    /// Blobs and snapshots that are on the disk alone.
    fn unrecorded(&self, state: &State) -> Result<Vec<Object>> {
        let lost = |kind: &str, name: String| Object {
            namespace: String::new(),
            kind: kind.to_owned(),
            name,
            reason: None,
            fault: None,
        };
        let blobs = self.inner.content.walk()?;
        let blobs = blobs.into_iter().filter(|info| !state.has_blob(info.digest.as_str()));
        let mut objects: Vec<Object> = blobs.map(|info| lost("content", info.digest.to_string())).collect();
        for (name, driver) in &self.inner.snapshotters {
            let records = state.backends.get(name).into_iter().flat_map(|of| of.records.values());
            let known: HashSet<String> = records.map(|record| record.id.to_string()).collect();
            let directory = snapshots_of(&**driver);
            let found = std::fs::read_dir(&directory).into_iter().flatten().flatten();
            let found = found.map(|entry| entry.file_name().to_string_lossy().into_owned());
            let unknown = found.filter(|id| !known.contains(id));
            objects.extend(
                unknown.map(|id| lost(&format!("snapshot {name}"), directory.join(id).display().to_string())),
            );
        }
        Ok(objects)
    }
}

/// Where a snapshotter has its directories.
fn snapshots_of(driver: &dyn Snapshotter) -> std::path::PathBuf {
    driver.root().join("snapshots")
}
