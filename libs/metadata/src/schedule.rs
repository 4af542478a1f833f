//! When the collector runs.

use crate::database::{Db, Inner};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

/// When the collector runs (containerd's `io.containerd.gc.v1.scheduler`).
#[derive(Clone, Copy, Debug)]
pub struct GcConfig {
    /// Share of time that collections may take, at most 0.5.
    pub pause_threshold: f64,
    /// Deletions that start a collection; 0 leaves it to the mutations.
    pub deletion_threshold: u32,
    /// Changes of any kind that start a collection; 0 leaves it to the deletions.
    pub mutation_threshold: u32,
    /// Delay between a trigger and its collection.
    pub schedule_delay: Duration,
    /// Delay between the start and the first collection.
    pub startup_delay: Duration,
}

impl Default for GcConfig {
    fn default() -> Self {
        GcConfig {
            pause_threshold: 0.02,
            deletion_threshold: 0,
            mutation_threshold: 100,
            schedule_delay: Duration::ZERO,
            startup_delay: Duration::from_millis(100),
        }
    }
}

/// Counts changes and wakes the collector.
pub(crate) struct Trigger {
    config: GcConfig,
    shared: Arc<(Mutex<Counts>, Condvar)>,
}

#[derive(Default)]
struct Counts {
    deletions: u32,
    mutations: u32,
    /// A threshold was passed.
    due: bool,
    closed: bool,
}

impl Drop for Trigger {
    fn drop(&mut self) {
        lock(&self.shared.0).closed = true;
        self.shared.1.notify_all();
    }
}

fn lock(counts: &Mutex<Counts>) -> MutexGuard<'_, Counts> {
    counts.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Trigger {
    pub(crate) fn new(config: GcConfig) -> Trigger {
        Trigger { config, shared: Arc::default() }
    }

    /// Counts a transaction.
    pub(crate) fn changed(&self, deletes: bool) {
        let reached = |count: u32, threshold: u32| threshold > 0 && count >= threshold;
        let mut counts = lock(&self.shared.0);
        counts.mutations = counts.mutations.saturating_add(1);
        counts.deletions = counts.deletions.saturating_add(u32::from(deletes));
        if !counts.due
            && (reached(counts.mutations, self.config.mutation_threshold)
                || reached(counts.deletions, self.config.deletion_threshold))
        {
            counts.due = true;
            self.shared.1.notify_all();
        }
    }

    /// Begins to count anew: a collection starts.
    pub(crate) fn reset(&self) {
        let mut counts = lock(&self.shared.0);
        *counts = Counts { closed: counts.closed, ..Counts::default() };
    }
}

/// Starts the thread that collects; it ends with the database.
pub(crate) fn spawn(db: &Db) {
    let trigger = &db.inner.core.trigger;
    let (config, shared) = (trigger.config, trigger.shared.clone());
    let inner = Arc::downgrade(&db.inner);
    let thread = std::thread::Builder::new().name("gc".into()).stack_size(256 << 10);
    let spawned = thread.spawn(move || run(config, &shared, &inner));
    if let Err(error) = spawned {
        tracing::error!(%error, "cannot start the collector; deletions with sync still collect");
    }
}

fn run(config: GcConfig, shared: &(Mutex<Counts>, Condvar), inner: &Weak<Inner>) {
    if !pause(shared, config.startup_delay) {
        return;
    }
    let mut taken = collect(inner, true);
    loop {
        let Some(last) = taken else { return };
        // Never at once again: a collection that deletes must not become its own trigger.
        let share = config.pause_threshold.clamp(0.001, 0.5);
        let rest = last.mul_f64((1.0 - share) / share).max(Duration::from_millis(1));
        if !pause(shared, rest) || !due(shared) || !pause(shared, config.schedule_delay) {
            return;
        }
        taken = collect(inner, false);
    }
}

/// Waits for a threshold; false when the database is closed.
fn due(shared: &(Mutex<Counts>, Condvar)) -> bool {
    let counts = lock(&shared.0);
    let counts = shared
        .1
        .wait_while(counts, |counts| !counts.due && !counts.closed)
        .unwrap_or_else(PoisonError::into_inner);
    !counts.closed
}

/// Waits for a time; false when the database is closed.
fn pause(shared: &(Mutex<Counts>, Condvar), time: Duration) -> bool {
    let (counts, _) = shared
        .1
        .wait_timeout_while(lock(&shared.0), time, |counts| !counts.closed)
        .unwrap_or_else(PoisonError::into_inner);
    !counts.closed
}

/// Collects and says how long the records were locked; none when the database is gone.
fn collect(inner: &Weak<Inner>, first: bool) -> Option<Duration> {
    let db = Db { inner: inner.upgrade()? };
    let start = Instant::now();
    let run = db.inner.runs.join(|| db.run_collection(first));
    match run {
        Ok(stats) => {
            if stats.removed > 0 || stats.blobs > 0 {
                tracing::debug!(?stats, took = ?start.elapsed(), "collected garbage");
            }
            Some(stats.paused)
        }
        Err(error) => {
            tracing::error!(error = error.chain(), "garbage collection failed");
            Some(Duration::from_millis(100))
        }
    }
}
