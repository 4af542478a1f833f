//! A store of records that lives as long as the process: for tests, and for roots that are not kept.

use crate::record::{Change, Record, Store};
use errdefs::Result;
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Records in memory.
#[derive(Default)]
pub struct MemoryStore {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    records: BTreeMap<String, Record>,
    last_id: u64,
}

impl MemoryStore {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Store for MemoryStore {
    fn get(&self, name: &str) -> Option<Record> {
        self.state().records.get(name).cloned()
    }

    fn list(&self) -> Vec<(String, Record)> {
        self.state().records.iter().map(|(name, record)| (name.clone(), record.clone())).collect()
    }

    fn has_children(&self, name: &str) -> bool {
        self.state().records.values().any(|record| record.parent == name)
    }

    fn next_id(&self) -> Result<u64> {
        let mut state = self.state();
        state.last_id += 1;
        Ok(state.last_id)
    }

    fn apply(&self, changes: Vec<Change>) -> Result<()> {
        let mut state = self.state();
        for change in changes {
            match change {
                Change::Put(name, record) => drop(state.records.insert(name, record)),
                Change::Remove(name) => drop(state.records.remove(&name)),
            }
        }
        Ok(())
    }
}
