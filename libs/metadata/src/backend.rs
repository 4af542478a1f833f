//! The records of a snapshotter, in the same file as everything else.

use crate::core::Core;
use crate::row::{Key, Row};
use errdefs::Result;
use snapshots::{Change, Record, Store};
use std::sync::Arc;

/// One snapshotter's store. Its changes wait for the next durable transaction: the record of the namespace
/// that follows every one of them, so both cost one sync.
pub(crate) struct BackendStore {
    pub(crate) core: Arc<Core>,
    pub(crate) snapshotter: String,
}

impl Store for BackendStore {
    fn get(&self, name: &str) -> Option<Record> {
        self.core.read().backends.get(&self.snapshotter)?.records.get(name).cloned()
    }

    fn list(&self) -> Vec<(String, Record)> {
        let state = self.core.read();
        let Some(backend) = state.backends.get(&self.snapshotter) else { return Vec::new() };
        backend.records.iter().map(|(name, record)| (name.clone(), record.clone())).collect()
    }

    fn has_children(&self, name: &str) -> bool {
        self.core.read().backends.get(&self.snapshotter).is_some_and(|backend| backend.has_children(name))
    }

    fn next_id(&self) -> Result<u64> {
        self.core.next_number()
    }

    fn apply(&self, list: Vec<Change>) -> Result<()> {
        self.core.change_lazily(|_, changes| {
            for change in list {
                match change {
                    Change::Put(name, record) => {
                        changes.put(Row::Backend(self.snapshotter.clone(), name, record));
                    }
                    Change::Remove(name) => changes.remove(Key::Backend(self.snapshotter.clone(), name)),
                }
            }
            Ok(())
        })
    }
}
