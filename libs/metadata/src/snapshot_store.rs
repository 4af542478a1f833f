//! Snapshots as a namespace sees them.

use crate::database::Namespace;
use crate::labels::{now, validate_labels};
use crate::pins::{Guard, Pin};
use crate::row::{Key, Resource, Row, Snapshot};
use crate::{Labels, Mount, Usage, mask};
use containerd_api::events::{SnapshotCommit, SnapshotPrepare, SnapshotRemove};
use containerd_api::services::snapshots::v1::{Info, Kind};
use errdefs::{Error, Result};
use filters::{Adaptor, Filters, map_field};
use snapshots::{LABEL_PREFIX, LABEL_REF, Snapshotter, Whiteouts, is_target};
use std::borrow::Cow;
use std::sync::Arc;

/// The snapshots of one snapshotter in a namespace.
#[derive(Clone)]
pub struct Snapshots {
    pub(crate) namespace: Namespace,
    pub(crate) snapshotter: Arc<str>,
    pub(crate) backend: Arc<dyn Snapshotter>,
}

struct Fields<'a>(&'a Info);

impl Adaptor for Fields<'_> {
    fn field(&self, path: &[&str]) -> Option<Cow<'_, str>> {
        match path {
            ["kind"] => Some(Cow::Borrowed(kind_word(self.0.kind()))),
            ["name"] => Some(Cow::Borrowed(&self.0.name)),
            ["parent"] => Some(Cow::Borrowed(&self.0.parent)),
            ["labels", key @ ..] => map_field(&self.0.labels, key),
            _ => None,
        }
    }
}

fn kind_word(kind: Kind) -> &'static str {
    match kind {
        Kind::Active => "active",
        Kind::View => "view",
        Kind::Committed => "committed",
        Kind::Unknown => "unknown",
    }
}

fn missing(key: &str) -> Error {
    Error::not_found(format!("snapshot {key} does not exist"))
}

/// The labels that the snapshotter sees.
fn inherited(labels: &Labels) -> Labels {
    let passes = |key: &str| key == LABEL_REF || key.starts_with(LABEL_PREFIX);
    labels.iter().filter(|(key, _)| passes(key)).map(|(key, value)| (key.clone(), value.clone())).collect()
}

/// A name in the making: nobody else can take it, and its parent stays.
struct Reservation {
    backend: String,
    backend_parent: String,
    _name: Guard,
    _parent: Option<Guard>,
}

impl Snapshots {
    /// The snapshotter's name.
    pub fn snapshotter(&self) -> &str {
        &self.snapshotter
    }

    /// What the snapshotter can do: `remap-ids`, `rebase`.
    pub fn capabilities(&self) -> Vec<String> {
        self.backend.capabilities()
    }

    /// How deletions are kept in an active snapshot, one without a parent too.
    pub fn whiteouts(&self) -> Whiteouts {
        self.backend.whiteouts()
    }

    fn record(&self, key: &str) -> Result<Snapshot> {
        let state = self.namespace.core().read();
        let found = state
            .namespace(&self.namespace.name)
            .and_then(|records| records.snapshot(&self.snapshotter, key));
        found.cloned().ok_or_else(|| missing(key))
    }

    fn info(&self, key: &str, record: Snapshot) -> Result<Info> {
        let backend = self.backend.stat(&record.backend)?;
        Ok(Info {
            name: key.to_owned(),
            parent: record.parent,
            kind: backend.kind,
            created_at: record.created_at,
            updated_at: record.updated_at,
            labels: record.labels,
        })
    }

    /// The record of one. NotFound.
    pub fn stat(&self, key: &str) -> Result<Info> {
        self.info(key, self.record(key)?)
    }

    /// Those that match one of the filters, by name.
    pub fn list(&self, filters: &[String]) -> Result<Vec<Info>> {
        let filters = Filters::parse(filters)?;
        let records: Vec<(String, Snapshot)> = {
            let state = self.namespace.core().read();
            let namespace = state.namespace(&self.namespace.name);
            let records = namespace.and_then(|namespace| namespace.snapshots.get(&*self.snapshotter));
            records.into_iter().flatten().map(|(key, record)| (key.clone(), record.clone())).collect()
        };
        let mut infos = Vec::new();
        for (key, record) in records {
            match self.info(&key, record) {
                Ok(info) if filters.matches(&Fields(&info)) => infos.push(info),
                // Removed meanwhile.
                Err(error) if error.kind() != errdefs::Kind::NotFound => return Err(error),
                _ => {}
            }
        }
        Ok(infos)
    }

    /// Changes labels: paths `labels` or `labels.K`; none replaces them all.
    pub fn update(&self, info: &Info, paths: &[String]) -> Result<Info> {
        let record = self.namespace.core().change(|state, changes| {
            let records = state.namespace(&self.namespace.name);
            let stored = records.and_then(|records| records.snapshot(&self.snapshotter, &info.name));
            let mut updated = stored.cloned().ok_or_else(|| missing(&info.name))?;
            mask::update_labels(&mut updated.labels, &info.labels, paths, || {
                format!("snapshot {:?}", info.name)
            })?;
            validate_labels("info.Labels", &updated.labels)?;
            updated.updated_at = Some(now());
            changes.put(self.row(&info.name, updated.clone()));
            Ok(updated)
        })?;
        let labels = inherited(&record.labels);
        self.backend.update(&Info { name: record.backend.clone(), labels, ..Info::default() }, &[])?;
        self.info(&info.name, record)
    }

    /// Disk usage, parents not counted.
    pub fn usage(&self, key: &str) -> Result<Usage> {
        self.backend.usage(&self.record(key)?.backend)
    }

    /// The mounts of an active snapshot or view.
    pub fn mounts(&self, key: &str) -> Result<Vec<Mount>> {
        self.backend.mounts(&self.record(key)?.backend)
    }

    /// Makes a writable snapshot; `parent` is empty or committed. It joins the lease.
    pub fn prepare(&self, key: &str, parent: &str, labels: &Labels) -> Result<Vec<Mount>> {
        self.make(key, parent, labels, false)
    }

    /// Makes a read-only one.
    pub fn view(&self, key: &str, parent: &str, labels: &Labels) -> Result<Vec<Mount>> {
        self.make(key, parent, labels, true)
    }

    fn make(&self, key: &str, parent: &str, labels: &Labels, read_only: bool) -> Result<Vec<Mount>> {
        let labels = &stored(labels)?;
        if key.is_empty() {
            return Err(Error::invalid_argument("snapshot key must not be empty"));
        }
        let target = labels.get(LABEL_REF).filter(|target| !target.is_empty());
        if let Some(target) = target
            && self.record(target).is_ok()
        {
            self.join_lease(target)?;
            return Err(Error::already_exists(format!("target snapshot {target:?}")));
        }
        let place = self.reserve(key, parent)?;
        let (backend, below, passed) = (&place.backend, &place.backend_parent, inherited(labels));
        let made = if read_only {
            self.backend.view(backend, below, &passed)
        } else {
            self.backend.prepare(backend, below, &passed)
        };
        let mounts = match (made, target) {
            (Err(error), Some(target)) if error.kind() == errdefs::Kind::AlreadyExists => {
                return Err(self.adopt(target, parent, below, labels)?.unwrap_or(error));
            }
            (made, _) => made?,
        };
        let recorded = self.namespace.core().change(|state, changes| {
            let records = state.namespace(&self.namespace.name);
            changes.ensure_namespace(state, &self.namespace.name);
            changes.hold(&self.namespace.name, records, self.namespace.lease(), self.resource(key))?;
            changes.put(self.row(key, self.fresh(backend, parent, labels)));
            if !read_only {
                let snapshotter = self.snapshotter.to_string();
                let event = SnapshotPrepare { key: key.to_owned(), parent: parent.to_owned(), snapshotter };
                changes.event(&self.namespace.name, "/snapshot/prepare", &event);
            }
            Ok(())
        });
        if let Err(error) = recorded {
            self.discard(backend);
            return Err(error);
        }
        Ok(mounts)
    }

    /// A snapshotter that had the content before has made the snapshot that is named by the label `snapshot.ref`:
    /// it is recorded, and the error says so to who asked. `None` if there is no such snapshot.
    fn adopt(&self, target: &str, parent: &str, below: &str, labels: &Labels) -> Result<Option<Error>> {
        let found = self.backend.walk()?.into_iter().find(|info| is_target(info, target, below));
        let Some(found) = found else { return Ok(None) };
        self.namespace.core().change(|state, changes| {
            let records = state.namespace(&self.namespace.name);
            changes.ensure_namespace(state, &self.namespace.name);
            changes.hold(&self.namespace.name, records, self.namespace.lease(), self.resource(target))?;
            // Others may have met it at the same time.
            if records.and_then(|records| records.snapshot(&self.snapshotter, target)).is_none() {
                changes.put(self.row(target, self.fresh(&found.name, parent, labels)));
            }
            Ok(())
        })?;
        Ok(Some(Error::already_exists(format!("target snapshot {target:?}"))))
    }

    /// Takes back what the snapshotter made when its record could not be written.
    fn discard(&self, backend: &str) {
        if let Err(error) = self.backend.remove(backend)
            && error.kind() != errdefs::Kind::NotFound
        {
            tracing::warn!(
                snapshot = backend,
                error = error.chain(),
                "snapshot without record stays until the next start"
            );
        }
    }

    fn join_lease(&self, key: &str) -> Result<()> {
        self.namespace.core().change(|state, changes| {
            let records = state.namespace(&self.namespace.name);
            changes.hold(&self.namespace.name, records, self.namespace.lease(), self.resource(key))
        })
    }

    fn pin(&self, make: fn(String, String, String) -> Pin, key: &str) -> Pin {
        make(self.namespace.key(), self.snapshotter.to_string(), key.to_owned())
    }

    /// Takes a name that is free, and pins the parent, so that neither a removal nor a collection takes it.
    fn reserve(&self, key: &str, parent: &str) -> Result<Reservation> {
        let exists = || Error::already_exists(format!("snapshot {key:?}"));
        let number = self.namespace.core().next_number()?;
        let name = self.namespace.pins().pin_alone(self.pin(Pin::Name, key)).ok_or_else(exists)?;
        let pinned = (!parent.is_empty()).then(|| self.namespace.pins().pin(self.pin(Pin::Parent, parent)));
        let state = self.namespace.core().read();
        let records = state.namespace(&self.namespace.name);
        let find = |key: &str| records.and_then(|records| records.snapshot(&self.snapshotter, key));
        if find(key).is_some() {
            return Err(exists());
        }
        let backend_parent = if parent.is_empty() {
            String::new()
        } else {
            let absent = || Error::not_found(format!("parent snapshot {parent} does not exist"));
            find(parent).ok_or_else(absent)?.backend.clone()
        };
        let backend = format!("{}/{number}/{key}", self.namespace.name);
        Ok(Reservation { backend, backend_parent, _name: name, _parent: pinned })
    }

    fn fresh(&self, backend: &str, parent: &str, labels: &Labels) -> Snapshot {
        let stamp = Some(now());
        Snapshot {
            backend: backend.to_owned(),
            parent: parent.to_owned(),
            labels: labels.clone(),
            created_at: stamp,
            updated_at: stamp,
        }
    }

    fn row(&self, key: &str, record: Snapshot) -> Row {
        Row::Snapshot(self.namespace.key(), self.snapshotter.to_string(), key.to_owned(), record)
    }

    fn key(&self, key: &str) -> Key {
        Key::Snapshot(self.namespace.key(), self.snapshotter.to_string(), key.to_owned())
    }

    fn resource(&self, key: &str) -> Resource {
        Resource::Snapshot(self.snapshotter.to_string(), key.to_owned())
    }

    /// Commits the active `key` under `name`; a `parent` given for one without rebases it.
    pub fn commit(&self, name: &str, key: &str, parent: &str, labels: &Labels) -> Result<()> {
        let labels = &stored(labels)?;
        if name.is_empty() {
            return Err(Error::invalid_argument("snapshot name must not be empty"));
        }
        // A name that is taken counts first: whoever commits again learns that it is done.
        let place = self.reserve(name, parent)?;
        let record = self.record(key)?;
        let parent = if parent.is_empty() { record.parent.as_str() } else { parent };
        let active = self.backend_record(&record.backend);
        self.backend.commit(&place.backend, &record.backend, &place.backend_parent, &inherited(labels))?;
        let recorded = self.record_commit(name, key, &self.fresh(&place.backend, parent, labels));
        if recorded.is_err()
            && let Some(active) = active
        {
            self.uncommit(&place.backend, &record.backend, active);
        }
        recorded
    }

    fn record_commit(&self, name: &str, key: &str, record: &Snapshot) -> Result<()> {
        self.namespace.core().change(|state, changes| {
            let records = state.namespace(&self.namespace.name);
            changes.hold(&self.namespace.name, records, self.namespace.lease(), self.resource(name))?;
            if let Some(records) = records {
                changes.release(&self.namespace.name, records, &self.resource(key));
            }
            changes.forget(self.key(key));
            changes.put(self.row(name, record.clone()));
            let snapshotter = self.snapshotter.to_string();
            let event = SnapshotCommit { key: key.to_owned(), name: name.to_owned(), snapshotter };
            changes.event(&self.namespace.name, "/snapshot/commit", &event);
            Ok(())
        })
    }

    fn backend_record(&self, backend: &str) -> Option<snapshots::Record> {
        self.namespace.core().read().backends.get(&*self.snapshotter)?.records.get(backend).cloned()
    }

    /// Gives the snapshotter's record its active name back: the namespace still says so.
    fn uncommit(&self, committed: &str, active: &str, record: snapshots::Record) {
        let snapshotter = || self.snapshotter.to_string();
        let undone = self.namespace.core().change_lazily(|_, changes| {
            changes.forget(Key::Backend(snapshotter(), committed.to_owned()));
            changes.put(Row::Backend(snapshotter(), active.to_owned(), record));
            Ok(())
        });
        if let Err(error) = undone {
            tracing::error!(snapshot = active, error = error.chain(), "cannot undo a commit");
        }
    }

    /// Removes one without children. The record goes now, the files soon after.
    pub fn remove(&self, key: &str) -> Result<()> {
        let backend = self.namespace.core().change(|state, changes| {
            let records = state.namespace(&self.namespace.name).ok_or_else(|| missing(key))?;
            let record = records.snapshot(&self.snapshotter, key).ok_or_else(|| missing(key))?;
            let parented = self.namespace.pins().is_pinned(&self.pin(Pin::Parent, key));
            let backend = state.backends.get(&*self.snapshotter);
            if parented || backend.is_some_and(|backend| backend.has_children(&record.backend)) {
                return Err(Error::failed_precondition("cannot remove snapshot with child"));
            }
            changes.release(&self.namespace.name, records, &self.resource(key));
            changes.remove(self.key(key));
            let event = SnapshotRemove { key: key.to_owned(), snapshotter: self.snapshotter.to_string() };
            changes.event(&self.namespace.name, "/snapshot/remove", &event);
            Ok(record.backend.clone())
        })?;
        self.discard(&backend);
        Ok(())
    }

    /// Removes directories that nothing names.
    pub fn cleanup(&self) -> Result<()> {
        self.backend.cleanup()
    }
}

fn stored(labels: &Labels) -> Result<Labels> {
    let mut labels = labels.clone();
    mask::drop_empty(&mut labels);
    validate_labels("info.Labels", &labels)?;
    Ok(labels)
}
