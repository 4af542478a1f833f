//! Garbage collection: records without a root go, then files without a record.

use crate::core::Changes;
use crate::database::{Db, Inner};
use crate::mark::unreferenced;
use crate::pins::Pin;
use crate::row::Key;
use crate::state::State;
use containerd_api::events::{ContentDelete, SnapshotRemove};
use containerd_api::services::images::v1::ImageDelete;
use errdefs::{Error, Kind, Result};
use std::collections::{BTreeMap, HashSet};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

/// What a collection did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct GcStats {
    /// Time with the records locked.
    pub paused: Duration,
    /// Records removed.
    pub removed: usize,
    /// Blob files removed.
    pub blobs: usize,
    /// Ingests removed.
    pub ingests: usize,
    /// Snapshots removed.
    pub snapshots: usize,
}

/// One collection at a time; those who ask while one runs share the next.
#[derive(Default)]
pub(crate) struct Runs {
    turn: Mutex<Turn>,
    ended: Condvar,
    /// Blobs that lost a record outside of a collection.
    dirty: Mutex<HashSet<String>>,
}

#[derive(Default)]
struct Turn {
    started: u64,
    finished: u64,
    outcome: Option<std::result::Result<GcStats, (Kind, String)>>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Runs {
    /// Runs `collect`, or waits for somebody's run that starts after this call.
    pub(crate) fn join(&self, collect: impl FnOnce() -> Result<GcStats>) -> Result<GcStats> {
        let mut turn = lock(&self.turn);
        let wanted = turn.started + 1;
        while turn.started > turn.finished && turn.finished < wanted {
            turn = self.ended.wait(turn).unwrap_or_else(PoisonError::into_inner);
        }
        if turn.finished >= wanted
            && let Some(outcome) = &turn.outcome
        {
            return outcome.clone().map_err(|(kind, text)| Error::new(kind, text));
        }
        turn.started += 1;
        drop(turn);
        let outcome = collect();
        let mut turn = lock(&self.turn);
        turn.finished = turn.started;
        turn.outcome = Some(match &outcome {
            Ok(stats) => Ok(*stats),
            Err(error) => Err((error.kind(), error.chain())),
        });
        self.ended.notify_all();
        outcome
    }

    /// Remembers a blob whose file may have to go.
    pub(crate) fn mark_dirty(&self, digest: &str) {
        lock(&self.dirty).insert(digest.to_owned());
    }
}

/// What has to go besides records.
#[derive(Default)]
struct Files {
    blobs: HashSet<String>,
    /// References in the content store.
    ingests: Vec<String>,
    /// Names by snapshotter.
    snapshots: BTreeMap<String, Vec<String>>,
}

impl Db {
    /// One collection; the `full` one also looks for files that no record ever named.
    pub(crate) fn run_collection(&self, full: bool) -> Result<GcStats> {
        let inner = &self.inner;
        inner.core.trigger.reset();
        let mut files = Files { blobs: std::mem::take(&mut *lock(&inner.runs.dirty)), ..Files::default() };
        let mut stats = GcStats::default();
        let swept = inner.core.change(|state, changes| {
            let start = Instant::now();
            stats.removed = sweep(state, changes, &inner.pins.all(), &mut files);
            stats.paused = start.elapsed();
            Ok(())
        });
        if let Err(error) = swept {
            lock(&inner.runs.dirty).extend(files.blobs);
            return Err(error);
        }
        if full {
            inner.add_orphans(&mut files)?;
        }
        inner.remove_files(files, &mut stats);
        if full {
            inner.clean_snapshotters();
        }
        Ok(stats)
    }

    /// Brings records and directories together after a stop of any kind.
    pub(crate) fn recover(&self) -> Result<()> {
        self.inner.content.remove_torn_ingests()?;
        self.inner.settle_ingests()?;
        // Before the healing: a removal that was cut short lacks files, too, and nobody has lost anything by it.
        self.inner.remove_orphan_snapshots();
        self.inner.heal_snapshots()?;
        Ok(())
    }
}

/// Removes every record without a root, and notes the files it had.
fn sweep(state: &State, changes: &mut Changes, pins: &[Pin], files: &mut Files) -> usize {
    let now = SystemTime::now();
    let mut removed = 0;
    for (name, records) in &state.namespaces {
        for key in unreferenced(name, records, pins, now) {
            match &key {
                Key::Blob(_, digest) => {
                    changes.event(name, "/content/delete", &ContentDelete { digest: digest.clone() });
                    files.blobs.insert(digest.clone());
                }
                Key::Image(_, image) => {
                    changes.event(name, "/images/delete", &ImageDelete { name: image.clone() });
                }
                Key::Ingest(_, reference) => files.ingests.push(records.ingests[reference].backend.clone()),
                Key::Snapshot(_, snapshotter, key) => {
                    let event = SnapshotRemove { key: key.clone(), snapshotter: snapshotter.clone() };
                    changes.event(name, "/snapshot/remove", &event);
                    if let Some(snapshot) = records.snapshot(snapshotter, key) {
                        let names = files.snapshots.entry(snapshotter.clone()).or_default();
                        names.push(snapshot.backend.clone());
                    }
                }
                _ => {}
            }
            changes.forget(key);
            removed += 1;
        }
    }
    removed
}

impl Inner {
    /// Adds blob files without a record.
    fn add_orphans(&self, files: &mut Files) -> Result<()> {
        let blobs = self.content.walk()?;
        let state = self.core.read();
        let orphans = blobs.into_iter().filter(|info| !state.has_blob(info.digest.as_str()));
        files.blobs.extend(orphans.map(|info| info.digest.to_string()));
        Ok(())
    }

    /// Removes files whose records are gone for good. One that fails does not stop the others.
    fn remove_files(&self, files: Files, stats: &mut GcStats) {
        for digest in files.blobs {
            stats.blobs += usize::from(self.remove_blob(digest));
        }
        for reference in files.ingests {
            match self.content.abort(&reference) {
                Ok(()) => stats.ingests += 1,
                Err(error) => self.complain("ingest", &reference, &error),
            }
        }
        for (snapshotter, names) in files.snapshots {
            stats.snapshots += self.remove_snapshots(&snapshotter, names);
        }
    }

    fn remove_blob(&self, digest: String) -> bool {
        let Ok(parsed) = content::Digest::parse(&digest) else { return false };
        let unused = || !self.core.read().has_blob(&digest);
        match self.pins.remove_blob(&digest, unused, || self.content.delete(&parsed)) {
            Some(Ok(())) => true,
            Some(Err(error)) => {
                self.complain("blob", &digest, &error);
                false
            }
            // In use, or wanted just now: the next collection looks again.
            None => {
                self.runs.mark_dirty(&digest);
                false
            }
        }
    }

    /// Children go before their parents, so whoever still has a child waits for the next round.
    fn remove_snapshots(&self, snapshotter: &str, mut names: Vec<String>) -> usize {
        let Some(backend) = self.snapshotters.get(snapshotter) else { return 0 };
        let mut removed = 0;
        loop {
            let before = names.len();
            names.retain(|name| match backend.remove(name) {
                Ok(()) => {
                    removed += 1;
                    false
                }
                Err(error) if error.kind() == Kind::FailedPrecondition => true,
                Err(error) => {
                    self.complain("snapshot", name, &error);
                    false
                }
            });
            if names.is_empty() || names.len() == before {
                return removed;
            }
        }
    }

    fn complain(&self, what: &str, name: &str, error: &Error) {
        if error.kind() != Kind::NotFound {
            tracing::warn!(error = error.chain(), "cannot remove {what} {name}");
        }
    }

    fn clean_snapshotters(&self) {
        for (name, snapshotter) in &self.snapshotters {
            match snapshotter.cleanup() {
                Err(error) if error.kind() != Kind::Unimplemented => {
                    self.complain("leftovers of", name, &error)
                }
                _ => {}
            }
        }
    }

    /// Records of ingests without a directory go, and ingests without a record: those had only begun.
    fn settle_ingests(&self) -> Result<()> {
        let statuses = self.content.statuses()?;
        let found: HashSet<&str> = statuses.iter().map(|status| status.reference.as_str()).collect();
        let mut recorded = HashSet::new();
        self.core.change_lazily(|state, changes| {
            for (name, records) in &state.namespaces {
                for (reference, ingest) in &records.ingests {
                    if found.contains(ingest.backend.as_str()) {
                        recorded.insert(ingest.backend.clone());
                    } else {
                        changes.forget(Key::Ingest(name.clone(), reference.clone()));
                    }
                }
            }
            Ok(())
        })?;
        for reference in found.into_iter().filter(|reference| !recorded.contains(*reference)) {
            self.content.abort(reference)?;
        }
        Ok(())
    }

    /// After a power failure: active snapshots get their directories again; the records of committed ones without
    /// files go, with everything on top of them, so that the image is unpacked again when it is next asked for.
    fn heal_snapshots(&self) -> Result<()> {
        for (name, snapshotter) in &self.snapshotters {
            let mut lost: HashSet<String> = snapshotter.heal()?.into_iter().collect();
            if lost.is_empty() {
                continue;
            }
            tracing::error!(
                snapshotter = name,
                count = lost.len(),
                "layers are lost: their images must be unpacked again"
            );
            self.core.change(|state, changes| {
                let records = state.backends.get(name).into_iter().flat_map(|backend| &backend.records);
                let records: Vec<_> = records.collect();
                // Until nothing more hangs on what is lost.
                while let Some((above, _)) = records
                    .iter()
                    .find(|(backend, record)| lost.contains(&record.parent) && !lost.contains(*backend))
                {
                    lost.insert((*above).clone());
                }
                for backend in &lost {
                    changes.forget(Key::Backend(name.clone(), backend.clone()));
                }
                for (namespace, records) in &state.namespaces {
                    let named = records.snapshots.get(name).into_iter().flatten();
                    for (key, _) in named.filter(|(_, snapshot)| lost.contains(&snapshot.backend)) {
                        changes.forget(Key::Snapshot(namespace.clone(), name.clone(), key.clone()));
                    }
                }
                Ok(())
            })?;
        }
        Ok(())
    }

    /// Snapshots that no namespace names: their making or removal was cut short.
    fn remove_orphan_snapshots(&self) {
        for name in self.snapshotters.keys() {
            let orphans: Vec<String> = {
                let state = self.core.read();
                let named: HashSet<&str> = state
                    .namespaces
                    .values()
                    .filter_map(|records| records.snapshots.get(name))
                    .flat_map(|snapshots| snapshots.values().map(|snapshot| snapshot.backend.as_str()))
                    .collect();
                let backends =
                    state.backends.get(name).into_iter().flat_map(|backend| backend.records.keys());
                backends.filter(|backend| !named.contains(backend.as_str())).cloned().collect()
            };
            if !orphans.is_empty() {
                tracing::info!(
                    snapshotter = name,
                    count = orphans.len(),
                    "removing snapshots that nothing names"
                );
                self.remove_snapshots(name, orphans);
            }
        }
    }
}
