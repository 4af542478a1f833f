//! The namespaces themselves.

use crate::database::Db;
use crate::labels::validate_labels;
use crate::row::{Key, Row};
use crate::state::NamespaceState;
use crate::{mask, validate_identifier};
use containerd_api::events::{NamespaceCreate, NamespaceDelete, NamespaceUpdate};
use containerd_api::services::namespaces::v1::Namespace as Record;
use errdefs::{Error, Result};

/// Every namespace.
#[derive(Clone)]
pub struct Namespaces(pub(crate) Db);

fn record(name: &str, state: Option<&NamespaceState>) -> Record {
    Record { name: name.to_owned(), labels: state.map(|state| state.labels.clone()).unwrap_or_default() }
}

impl Namespaces {
    /// Name and labels; a name never used has none.
    pub fn get(&self, name: &str) -> Result<Record> {
        Ok(record(name, self.0.inner.core.read().namespace(name)))
    }

    /// All of them, by name.
    pub fn list(&self) -> Result<Vec<Record>> {
        let state = self.0.inner.core.read();
        let recorded = state.namespaces.iter().filter(|(_, state)| state.recorded);
        Ok(recorded.map(|(name, state)| record(name, Some(state))).collect())
    }

    /// Makes one. AlreadyExists.
    pub fn create(&self, record: Record) -> Result<Record> {
        validate_identifier(&record.name)?;
        validate_labels("namespace.Labels", &record.labels)?;
        self.0.inner.core.change(|state, changes| {
            if state.namespace(&record.name).is_some_and(|state| state.recorded) {
                return Err(Error::already_exists(format!("namespace {:?}", record.name)));
            }
            let event = NamespaceCreate { name: record.name.clone(), labels: record.labels.clone() };
            changes.event(&record.name, "/namespaces/create", &event);
            changes.put(Row::Namespace(record.clone()));
            Ok(())
        })?;
        Ok(record)
    }

    /// Changes labels: paths `labels.K`; none replaces them all. A namespace never used comes into being.
    pub fn update(&self, new: Record, paths: &[String]) -> Result<Record> {
        validate_identifier(&new.name)?;
        self.0.inner.core.change(|state, changes| {
            let mut updated = record(&new.name, state.namespace(&new.name));
            if paths.is_empty() {
                updated.labels = new.labels.clone();
            }
            for path in paths {
                let key = path
                    .strip_prefix("labels.")
                    .ok_or_else(|| Error::invalid_argument(format!("cannot update {path:?} field")))?;
                mask::copy_entry(&mut updated.labels, &new.labels, key);
            }
            mask::drop_empty(&mut updated.labels);
            validate_labels("namespace.Labels", &updated.labels)?;
            let event = NamespaceUpdate { name: updated.name.clone(), labels: updated.labels.clone() };
            changes.event(&updated.name, "/namespaces/update", &event);
            changes.put(Row::Namespace(updated.clone()));
            Ok(updated)
        })
    }

    /// Removes an empty one. FailedPrecondition names what is left in it.
    pub fn delete(&self, name: &str) -> Result<()> {
        validate_identifier(name)?;
        self.0.inner.core.change(|state, changes| {
            let records = state.namespace(name).filter(|records| records.recorded);
            let records = records.ok_or_else(|| Error::not_found(format!("namespace {name:?}")))?;
            let rest = contents(records);
            if !rest.is_empty() {
                return Err(Error::failed_precondition(format!(
                    "namespace {name:?} must be empty, but it still has {}",
                    rest.join(", ")
                )));
            }
            for reference in records.ingests.keys() {
                changes.forget(Key::Ingest(name.to_owned(), reference.clone()));
            }
            for (id, lease) in &records.leases {
                for resource in &lease.held {
                    changes.forget(Key::Held(name.to_owned(), id.clone(), resource.clone()));
                }
                changes.forget(Key::Lease(name.to_owned(), id.clone()));
            }
            changes.event(name, "/namespaces/delete", &NamespaceDelete { name: name.to_owned() });
            changes.remove(Key::Namespace(name.to_owned()));
            Ok(())
        })
    }
}

/// The words for what a namespace still has.
fn contents(records: &NamespaceState) -> Vec<String> {
    let mut rest = Vec::new();
    let mut say = |present: bool, word: &str| {
        if present {
            rest.push(word.to_owned());
        }
    };
    say(!records.images.is_empty(), "images");
    say(!records.blobs.is_empty(), "blobs");
    say(!records.containers.is_empty(), "containers");
    say(!records.sandboxes.is_empty(), "sandboxes");
    for (snapshotter, snapshots) in &records.snapshots {
        say(!snapshots.is_empty(), &format!("snapshots on {snapshotter:?} snapshotter"));
    }
    rest
}
