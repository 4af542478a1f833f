//! Containers that are to run, or are not to: looked at now and then, and put right.
//!
//! It is containerd's restart monitor, on which `nerdctl run --restart` relies: labels of the container's record
//! say what is wanted (see [`wish`]).

mod wish;

pub use wish::POLICIES;

use crate::sandboxes::Sandboxes;
use crate::tasks::{Create, Restored, Runtime, Tasks};
use containerd_api::services::containers::v1::Container;
use containerd_api::v1::types::Status as Phase;
use errdefs::{Error, Kind, Result};
use metadata::{Db, Namespace};
use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};
use wish::{COUNT, Deed, Found, STATUS};

const KILL: u32 = 9;

/// Looks after containers.
#[derive(Clone)]
pub struct Monitor {
    records: Db,
    tasks: Tasks,
    sandboxes: Sandboxes,
    interval: Duration,
    /// Containers that something is being done for, by namespace and id.
    busy: Arc<Mutex<HashSet<(String, String)>>>,
}

impl Monitor {
    /// One that looks every `interval`.
    pub fn new(records: Db, tasks: Tasks, sandboxes: Sandboxes, interval: Duration) -> Monitor {
        Monitor { records, tasks, sandboxes, interval, busy: Arc::default() }
    }

    /// Looks until the process ends. A container that keeps its shim busy delays no other.
    pub async fn run(self) {
        let mut ticks = tokio::time::interval(self.interval);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            if let Err(error) = self.look() {
                tracing::error!(error = error.chain(), "cannot look after containers");
            }
        }
    }

    fn look(&self) -> Result<()> {
        let watched = [format!("labels.{STATUS:?}")];
        for record in self.records.namespaces().list()? {
            let namespace = self.records.namespace(&record.name)?;
            for container in namespace.containers().list(&watched)? {
                let key = (record.name.clone(), container.id.clone());
                if !self.busy().insert(key.clone()) {
                    continue;
                }
                let (monitor, namespace) = (self.clone(), namespace.clone());
                tokio::spawn(async move {
                    if let Err(error) = monitor.tend(&namespace, container).await {
                        let (namespace, id) = (&key.0, &key.1);
                        tracing::warn!(namespace, id, error = error.chain(), "cannot put a container right");
                    }
                    monitor.busy().remove(&key);
                });
            }
        }
        Ok(())
    }

    fn busy(&self) -> std::sync::MutexGuard<'_, HashSet<(String, String)>> {
        self.busy.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn tend(&self, namespace: &Namespace, container: Container) -> Result<()> {
        let found = self.found(namespace, &container.id).await?;
        // Who has just made it is about to make its task.
        if found == Found::Nothing && is_younger(&container, self.interval) {
            return Ok(());
        }
        match wish::deed(&container.labels, found)? {
            None => Ok(()),
            Some(Deed::Stop) => self.end(namespace, &container.id).await,
            Some(Deed::Start { count }) => {
                if found != Found::Nothing {
                    gone(self.tasks.delete(Tasks::init(namespace.name(), &container.id)).await)?;
                }
                note(namespace, &container.id, count).await?;
                self.start(namespace, container).await
            }
        }
    }

    async fn found(&self, namespace: &Namespace, id: &str) -> Result<Found> {
        match self.tasks.get(Tasks::init(namespace.name(), id)).await {
            Ok(process) if process.status == Phase::Stopped as i32 => Ok(Found::Ended(process.exit_status)),
            Ok(_) => Ok(Found::Alive),
            Err(error) if error.kind() == Kind::NotFound => Ok(Found::Nothing),
            Err(error) => Err(error),
        }
    }

    async fn end(&self, namespace: &Namespace, id: &str) -> Result<()> {
        let task = Tasks::init(namespace.name(), id);
        gone(self.tasks.kill(task, KILL, true).await)?;
        gone(self.tasks.wait(task).await)?;
        gone(self.tasks.delete(task).await)
    }

    async fn start(&self, namespace: &Namespace, container: Container) -> Result<()> {
        let join = self.sandboxes.join(namespace, &container, ("", 0))?;
        let Container { id, labels, runtime, spec, snapshotter, snapshot_key, .. } = container;
        let rootfs = match snapshot_key.as_str() {
            "" => Vec::new(),
            key => namespace.snapshots(&snapshotter)?.mounts(key)?,
        };
        let (log, spec) = (wish::log(&labels), spec.unwrap_or_default().value);
        let runtime = runtime.unwrap_or_default();
        let terminal = has_terminal(&spec);
        let create = Create {
            namespace: namespace.name().to_owned(),
            id: id.clone(),
            spec,
            runtime: Runtime { name: runtime.name, options: runtime.options },
            join,
            rootfs,
            stdin: String::new(),
            stdout: log.clone(),
            // A terminal has one output.
            stderr: if terminal { String::new() } else { log },
            terminal,
            restored: Restored::Fresh,
        };
        match self.tasks.create(create).await {
            // A person was faster.
            Err(error) if error.kind() == Kind::AlreadyExists => return Ok(()),
            created => created?,
        };
        let task = Tasks::init(namespace.name(), &id);
        match self.tasks.start(task).await {
            Ok(_) => {
                tracing::info!(namespace = namespace.name(), id, "container started again");
                Ok(())
            }
            // A task that does not start must not stay and look as if somebody else were about to start it.
            Err(error) => self.end(namespace, &id).await.and(Err(error)),
        }
    }
}

fn is_younger(container: &Container, age: Duration) -> bool {
    let made = container.created_at.as_ref().and_then(|stamp| SystemTime::try_from(*stamp).ok());
    made.and_then(|made| made.elapsed().ok()).is_some_and(|elapsed| elapsed < age)
}

/// No such thing is what was wanted.
fn gone<T>(outcome: Result<T>) -> Result<()> {
    match outcome {
        Err(error) if error.kind() != Kind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Writes down how often a container was started again.
async fn note(namespace: &Namespace, id: &str, count: u32) -> Result<()> {
    let labels = HashMap::from([(COUNT.to_owned(), count.to_string())]);
    let (containers, container) =
        (namespace.containers(), Container { id: id.to_owned(), labels, ..Container::default() });
    let noted =
        tokio::task::spawn_blocking(move || containers.update(container, &[format!("labels.{COUNT}")]));
    noted.await.map_err(|cause| Error::internal("cannot note a restart").with_source(cause))?.map(drop)
}

/// Whether the process that a spec describes has a terminal.
fn has_terminal(spec: &[u8]) -> bool {
    #[derive(serde::Deserialize, Default)]
    struct Spec {
        #[serde(default)]
        process: Option<Process>,
    }
    #[derive(serde::Deserialize)]
    struct Process {
        #[serde(default)]
        terminal: bool,
    }
    // A spec that cannot be read is refused by the runtime, in better words.
    serde_json::from_slice::<Spec>(spec).unwrap_or_default().process.is_some_and(|process| process.terminal)
}
