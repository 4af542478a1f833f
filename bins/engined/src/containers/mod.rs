//! Containers: what is known of each, and one file for each thing that can be done.

pub mod archive;
pub mod attach;
pub mod cdi;
pub mod changes;
pub mod commit;
pub mod create;
pub mod exited;
pub mod export;
mod failure;
pub mod health;
mod held;
mod index;
pub mod inspect;
pub mod kill;
pub mod links;
pub mod list;
pub mod logging;
pub mod logs;
pub mod pause;
pub mod plan;
pub mod prune;
pub mod reconcile;
mod record;
pub mod remove;
pub mod rename;
pub mod resize;
pub mod restart;
pub mod rootfs;
mod seccomp;
mod sources;
pub mod spec;
pub mod start;
pub mod stats;
pub mod stdio;
mod steps;
pub mod stop;
pub mod top;
pub mod update;
pub mod user;
pub mod versions;
pub mod wait;
pub mod websocket;
mod whole;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, RwLock};

use containerd_api::types::Mount;
use errdefs::Result;
use tokio::sync::{oneshot, watch};

pub use index::Index;
pub use plan::spec_for;
pub use record::{MountRecord, Phase, Record, Source};
pub use stdio::Stdin;

use crate::files::{self, Promise};

/// One container. Reading never waits for what is being done to it.
pub struct Container {
    pub id: String,
    directory: PathBuf,
    record: RwLock<Arc<Record>>,
    /// Held while the record is written to disk.
    writing: Mutex<()>,
    /// Held by whoever moves the container from one phase to another.
    pub moving: tokio::sync::Mutex<()>,
    /// What `wait` looks at.
    pub progress: watch::Sender<Progress>,
    pub live: Mutex<Live>,
}

/// How far the life of a container has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    pub is_running: bool,
    /// How often it has started in this life of the engine.
    pub starts: u64,
    /// How often it has ended, and the last exit code.
    pub exits: u64,
    pub exit_code: i64,
    pub is_removed: bool,
}

/// What lasts only as long as this process.
#[derive(Default)]
pub struct Live {
    /// Attached clients that wait for the start.
    pub waiting: Vec<oneshot::Sender<stdio::Output>>,
    pub stdin: Option<Arc<Stdin>>,
    /// Mounts of the snapshot, as the supervisor gave them.
    pub rootfs: Option<Vec<Mount>>,
    /// The spec that the supervisor's record holds.
    pub sent_spec: Option<Vec<u8>>,
    /// Wakes a pending restart early, to be abandoned.
    pub restart: Option<oneshot::Sender<()>>,
    /// Restart delay of a container that keeps ending.
    pub backoff: restart::Backoff,
    pub execs: Vec<String>,
    /// Answers its name queries.
    pub resolver: Option<crate::networks::dns::Serving>,
    /// Ends the healthcheck when it goes.
    pub health: Option<oneshot::Sender<()>>,
    /// A stop or kill is under way: the exit is asked for.
    pub is_stopping: bool,
}

impl Container {
    fn new(directory: PathBuf, record: Record) -> Container {
        let progress = Progress { exit_code: record.state.exit_code, ..Progress::default() };
        Container {
            id: record.id.clone(),
            directory,
            record: RwLock::new(Arc::new(record)),
            writing: Mutex::default(),
            moving: tokio::sync::Mutex::new(()),
            progress: watch::Sender::new(progress),
            live: Mutex::default(),
        }
    }

    /// What is known now.
    pub fn record(&self) -> Arc<Record> {
        self.record.read().expect("no panic while held").clone()
    }

    /// Where the container's files are.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// A file beside the record.
    pub fn file(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }

    /// Changes the record, and writes it down so that it survives this process. What cannot be
    /// written is told in the log: the change stands in memory and the next one writes it.
    pub fn update(&self, change: impl FnOnce(&mut Record)) {
        if let Err(error) = self.try_update(Promise::Process, change) {
            tracing::error!(container = %self.id, error = %error.chain(), "cannot keep the state of a container");
        }
    }

    /// Changes the record with a promise to whoever asked.
    ///
    /// # Errors
    /// The record cannot be written.
    pub fn try_update(&self, promise: Promise, change: impl FnOnce(&mut Record)) -> Result<()> {
        change(Arc::make_mut(&mut self.record.write().expect("no panic while held")));
        // One after the other: whoever is last writes what is last.
        let _writing = self.writing.lock().expect("no panic while held");
        let newest = self.record();
        if newest.state.phase == Phase::Removing {
            return Ok(());
        }
        self.store(&newest, promise)
    }

    fn store(&self, record: &Record, promise: Promise) -> Result<()> {
        files::replace_json(&self.directory.join("config.json"), record, promise)
    }

    /// The lock on what lasts only as long as this process.
    pub fn live(&self) -> std::sync::MutexGuard<'_, Live> {
        self.live.lock().expect("no panic while held")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_changes_at_once_none_is_lost() {
        const THREADS: i64 = 4;
        const CHANGES: i64 = 100;
        let directory = tempfile::tempdir().unwrap();
        let container = Container::new(directory.path().to_owned(), Record::default());
        std::thread::scope(|scope| {
            for _ in 0..THREADS {
                scope.spawn(|| {
                    for _ in 0..CHANGES {
                        container.try_update(Promise::Process, |record| record.restart_count += 1).unwrap();
                    }
                });
            }
        });
        let kept = std::fs::read(directory.path().join("config.json")).unwrap();
        let kept: Record = serde_json::from_slice(&kept).unwrap();
        assert_eq!(kept.restart_count, THREADS * CHANGES);
    }
}
