//! Garbage collection: what nothing refers to goes.

use std::time::Duration;

/// When the collector runs (containerd's `io.containerd.gc.v1.scheduler`).
#[derive(Clone, Copy, Debug)]
pub struct GcConfig {
    /// Share of time that collections may take, at most 0.5.
    pub pause_threshold: f64,
    /// Deletions that start a collection at once; 0 waits for the mutation threshold.
    pub deletion_threshold: u32,
    /// Changes after which the next deletion starts a collection.
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
