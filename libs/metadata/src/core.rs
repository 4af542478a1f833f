//! Records in memory, changed and stored as one.

use crate::group::{Batch, Event, Failure, Group, Ticket};
use crate::row::{Change, Key, Resource, Row};
use crate::schedule::Trigger;
use crate::state::{NamespaceState, State};
use containerd_api::services::namespaces::v1::Namespace;
use errdefs::{Error, Kind, Result};
use events::Exchange;
use prost::{Message, Name};
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

/// How many numbers are given out for one stored row.
const SEQUENCE_STEP: u64 = 1024;

/// The records and the file that keeps them.
pub(crate) struct Core {
    state: RwLock<State>,
    group: Group,
    sequence: Mutex<Sequence>,
    pub(crate) trigger: Trigger,
}

struct Sequence {
    next: u64,
    limit: u64,
}

/// The changes of one transaction, collected while the state is locked.
#[derive(Default)]
pub(crate) struct Changes {
    list: Vec<Change>,
    events: Vec<Event>,
    deletes: bool,
}

impl Changes {
    pub(crate) fn put(&mut self, row: Row) {
        self.list.push(Change::Put(row));
    }

    /// Removes; what it referred to may become garbage.
    pub(crate) fn remove(&mut self, key: Key) {
        self.deletes = true;
        self.list.push(Change::Remove(key));
    }

    /// Removes what nothing else hangs on: no collection follows.
    pub(crate) fn forget(&mut self, key: Key) {
        self.list.push(Change::Remove(key));
    }

    pub(crate) fn event<M: Message + Name>(&mut self, namespace: &str, topic: &'static str, message: &M) {
        let payload = containerd_api::pack(message);
        self.events.push(Event { namespace: namespace.to_owned(), topic, payload });
    }

    /// Records the namespace itself if it has no record yet: it exists from its first object on.
    pub(crate) fn ensure_namespace(&mut self, state: &State, name: &str) {
        if !state.namespace(name).is_some_and(|namespace| namespace.recorded) {
            self.put(Row::Namespace(Namespace { name: name.to_owned(), ..Default::default() }));
        }
    }

    /// Puts `resource` into the lease of the call, if there is one. NotFound `lease does not exist`.
    pub(crate) fn hold(
        &mut self,
        namespace: &str,
        records: Option<&NamespaceState>,
        lease: Option<&str>,
        resource: Resource,
    ) -> Result<()> {
        let Some(lease) = lease else { return Ok(()) };
        let state = records
            .and_then(|records| records.leases.get(lease))
            .ok_or_else(|| Error::not_found("lease does not exist"))?;
        if !state.held.contains(&resource) {
            self.put(Row::Held(namespace.to_owned(), lease.to_owned(), resource));
        }
        Ok(())
    }

    /// Takes `resource` out of every lease that holds it.
    pub(crate) fn release(&mut self, namespace: &str, records: &NamespaceState, resource: &Resource) {
        for (id, lease) in &records.leases {
            if lease.held.contains(resource) {
                let key = Key::Held(namespace.to_owned(), id.clone(), resource.clone());
                self.list.push(Change::Remove(key));
            }
        }
    }
}

impl Core {
    pub(crate) fn open(path: PathBuf, exchange: Exchange, trigger: Trigger) -> Result<Core> {
        let group = Group::open(path, exchange)?;
        let mut state = State::default();
        group.load(|row| state.apply(Change::Put(row)))?;
        let next = state.sequence_limit.max(1);
        Ok(Core {
            state: RwLock::new(state),
            group,
            sequence: Mutex::new(Sequence { next, limit: next }),
            trigger,
        })
    }

    /// The records, for reading.
    pub(crate) fn read(&self) -> RwLockReadGuard<'_, State> {
        self.state.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn lock(&self) -> RwLockWriteGuard<'_, State> {
        self.state.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs `plan` on the records and makes the changes it collects; returns when they are durable.
    pub(crate) fn change<T>(&self, plan: impl FnOnce(&State, &mut Changes) -> Result<T>) -> Result<T> {
        let (value, ticket) = self.queue(false, plan)?;
        if let Some(ticket) = ticket {
            self.group.wait(&ticket, |failure| self.recover(failure))?;
        }
        Ok(value)
    }

    /// The same without waiting: durable no later than the next [`Core::change`] or [`Core::flush`].
    pub(crate) fn change_lazily<T>(&self, plan: impl FnOnce(&State, &mut Changes) -> Result<T>) -> Result<T> {
        self.queue(true, plan).map(|(value, _)| value)
    }

    fn queue<T>(
        &self,
        lazy: bool,
        plan: impl FnOnce(&State, &mut Changes) -> Result<T>,
    ) -> Result<(T, Option<Ticket>)> {
        let mut state = self.lock();
        let mut changes = Changes::default();
        let value = plan(&state, &mut changes)?;
        if changes.list.is_empty() {
            return Ok((value, None));
        }
        let adds = changes.list.iter().any(|change| matches!(change, Change::Put(_)));
        if !lazy && adds && self.group.is_full() {
            return Err(Error::new(Kind::ResourceExhausted, "cannot write metadata: the disk is full")
                .with_hint("free space on the file system that holds the root directory"));
        }
        self.trigger.changed(changes.deletes);
        let ticket = self.group.queue_batch(Batch::new(&changes.list, changes.events, lazy));
        for change in changes.list {
            state.apply(change);
        }
        Ok((value, Some(ticket)))
    }

    /// Writes what is not durable yet.
    pub(crate) fn flush(&self) -> Result<()> {
        self.group.flush(|failure| self.recover(failure))
    }

    /// After a failed write memory is ahead of the file: everybody in the queue fails, and memory is read anew.
    fn recover(&self, failure: Failure) {
        let mut state = self.lock();
        let lazy = self.group.settle(failure);
        let mut fresh = State::default();
        match self.group.load(|row| fresh.apply(Change::Put(row))) {
            Ok(()) => {
                for batch in lazy {
                    match batch.changes() {
                        Ok(changes) => changes.into_iter().for_each(|change| fresh.apply(change)),
                        Err(error) => tracing::error!(error = error.chain(), "a change is lost"),
                    }
                    self.group.queue_batch(batch);
                }
                *state = fresh;
            }
            Err(error) => tracing::error!(error = error.chain(), "metadata cannot be read back"),
        }
        drop(state);
        let mut sequence = self.sequence.lock().unwrap_or_else(PoisonError::into_inner);
        sequence.limit = sequence.next;
    }

    /// A number never given before.
    pub(crate) fn next_number(&self) -> Result<u64> {
        loop {
            let limit = {
                let mut sequence = self.sequence.lock().unwrap_or_else(PoisonError::into_inner);
                if sequence.next < sequence.limit {
                    sequence.next += 1;
                    return Ok(sequence.next - 1);
                }
                sequence.next + SEQUENCE_STEP
            };
            // Queued before anything that uses the numbers, so stored no later than that.
            self.change_lazily(|_, changes| {
                changes.put(Row::Sequence(limit));
                Ok(())
            })?;
            let mut sequence = self.sequence.lock().unwrap_or_else(PoisonError::into_inner);
            sequence.limit = sequence.limit.max(limit);
        }
    }
}
