//! Shims: one a task, started here, found again after a restart, cleaned up when they die.

pub mod bootstrap;
mod bundle;
mod client;
mod exits;
mod join;
mod known;
mod load;
mod log;
mod reap;
pub mod runtime;
mod spawn;
mod strays;

pub use bundle::Layout;
pub use client::{TaskClient, is_closed};
pub use join::Join;
pub use spawn::{Daemon, Programs, socket_dir};

use crate::config::Timeouts;
use crate::tasks::Exit;
use bootstrap::Bootstrap;
use bundle::Bundle;
use containerd_api::Any;
use containerd_api::types::RuntimeInfo;
use errdefs::{Error, Result};
use events::Exchange;
use known::Known;
use runtime::SearchPath;
use std::collections::{HashMap, HashSet};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::SystemTime;
use tokio::sync::OnceCell;
use tokio::task::spawn_blocking;

/// A task's name: its namespace and its id.
type Key = (String, String);

/// Everything about shims that the daemon keeps.
#[derive(Clone)]
pub struct Shims {
    inner: Arc<Inner>,
}

/// What the shims serve.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Serving {
    Tasks,
    Sandboxes,
}

struct Inner {
    serving: Serving,
    layout: Layout,
    daemon: Daemon,
    search: SearchPath,
    exchange: Exchange,
    tasks: RwLock<Tasks>,
    /// Held while the end of a task is told and noted.
    telling: Mutex<()>,
    /// When this life of the daemon began.
    started: SystemTime,
}

#[derive(Default)]
struct Tasks {
    /// Names taken by a creation under way.
    reserved: HashSet<Key>,
    running: HashMap<Key, Arc<Shim>>,
}

/// A shim that serves one task, or one sandbox.
pub struct Shim {
    bundle: Bundle,
    binary: PathBuf,
    client: TaskClient,
    /// What is known of its task.
    known: Known,
    /// It did not answer the last list in time.
    silent: AtomicBool,
    /// It was asked to end: that it hangs up is no accident.
    ending: AtomicBool,
    /// It told of its task's deletion itself.
    told_deletion: AtomicBool,
    /// It is from a former life of the daemon, which may have asked it for what this one does not know of.
    former: AtomicBool,
    /// How its task ended, once that is deleted: whoever asks again meanwhile is told the same.
    deleted: OnceCell<Exit>,
    /// Set once the shim was let go and its bundle is removed: never twice, as the name may be another's by then.
    released: OnceCell<()>,
    _log: Option<log::Forwarder>,
}

/// A task's name, held while the task is being made; given back when dropped.
pub struct Reservation {
    shims: Shims,
    key: Key,
}

/// What a new shim is to serve.
pub struct Start<'a> {
    /// The runtime's name, or the path of a shim binary.
    pub runtime: &'a str,
    /// The runtime's options.
    pub options: Option<&'a Any>,
    /// The OCI spec, as JSON.
    pub spec: &'a [u8],
}

impl Shims {
    /// No shims yet; [`Shims::load`] finds those of a former life.
    pub fn new(layout: Layout, daemon: Daemon, exchange: Exchange) -> Shims {
        Shims::serving(Serving::Tasks, layout, daemon, exchange)
    }

    /// The same of shims that run a sandbox each.
    pub fn of_sandboxes(layout: Layout, daemon: Daemon, exchange: Exchange) -> Shims {
        Shims::serving(Serving::Sandboxes, layout, daemon, exchange)
    }

    fn serving(serving: Serving, layout: Layout, daemon: Daemon, exchange: Exchange) -> Shims {
        let search = SearchPath::new(daemon.programs.path.clone());
        let (tasks, telling) = (RwLock::default(), Mutex::default());
        let inner =
            Inner { serving, layout, daemon, search, exchange, tasks, telling, started: SystemTime::now() };
        Shims { inner: Arc::new(inner) }
    }

    /// The shim of a task.
    pub fn get(&self, namespace: &str, id: &str) -> Result<Arc<Shim>> {
        self.read(|tasks| tasks.running.get(&key(namespace, id)).cloned())
            .ok_or_else(|| Error::not_found(format!("task {id} not found")))
    }

    /// The shims of every task in `namespace`.
    pub fn list(&self, namespace: &str) -> Vec<Arc<Shim>> {
        self.read(|tasks| {
            tasks.running.values().filter(|shim| shim.bundle.namespace == namespace).cloned().collect()
        })
    }

    /// Logs which tasks there are, and which are being made.
    pub fn describe(&self) {
        self.read(|tasks| {
            for (namespace, id) in &tasks.reserved {
                tracing::info!(namespace, id, "task is being made");
            }
            for shim in tasks.running.values() {
                let (bundle, silent) = (&shim.bundle, shim.is_silent());
                tracing::info!(namespace = bundle.namespace, id = bundle.id, silent, "task");
            }
            tracing::info!(tasks = tasks.running.len(), making = tasks.reserved.len(), "asked for a report");
        });
    }

    /// Takes a task's name, so that nobody else makes a task of it meanwhile.
    pub fn reserve(&self, namespace: &str, id: &str) -> Result<Reservation> {
        let key = key(namespace, id);
        self.write(|tasks| {
            if tasks.running.contains_key(&key) || !tasks.reserved.insert(key.clone()) {
                return Err(Error::already_exists(format!("task {id}")));
            }
            Ok(())
        })?;
        Ok(Reservation { shims: self.clone(), key })
    }

    /// Makes the bundle and starts a shim for a reserved name. Nothing is left of it if it fails.
    pub async fn start(&self, name: &Reservation, start: Start<'_>) -> Result<Arc<Shim>> {
        let (namespace, id) = name.key.clone();
        let binary = runtime::resolve(start.runtime, &self.inner.search).map_err(|e| {
            Error::new(e.kind(), "failed to start shim: failed to resolve runtime path").with_source(e)
        })?;
        let (inner, spec) = (self.inner.clone(), start.spec.to_vec());
        let (runtime, options) = (start.runtime.to_owned(), start.options.cloned());
        let program = binary.clone();
        let (bundle, log, bootstrap) = spawn_blocking(move || {
            let bundle = inner.layout.create(&namespace, &id, &spec)?;
            let started = log::forward(&bundle).and_then(|log| {
                let bootstrap = inner.daemon.start_shim(&bundle, &runtime, &program, options.as_ref())?;
                bundle.save_shim(&bootstrap, &program)?;
                Ok((log, bootstrap))
            });
            match started {
                Ok((log, bootstrap)) => Ok((bundle, log, bootstrap)),
                Err(error) => {
                    // A start that was killed may have left the shim that it started.
                    strays::end(&bundle);
                    let _ = inner.daemon.delete_task(&bundle, &program, Timeouts::set().shim_cleanup);
                    let _ = bundle.delete();
                    Err(error)
                }
            }
        })
        .await
        .map_err(|e| Error::internal("cannot start a shim").with_source(e))??;
        match connect(bundle.clone(), binary.clone(), Some(log), &bootstrap).await {
            Ok(shim) => Ok(shim),
            Err(error) => {
                self.clean(&bundle, &binary).await;
                // Not of the cause's kind: that the shim is not there says nothing about the container.
                Err(Error::unavailable("failed to start shim").with_source(error))
            }
        }
    }

    /// What a runtime, by name or by its shim's path, says of itself. Without a name it is our own.
    pub async fn info(&self, runtime: String, options: Option<Any>) -> Result<RuntimeInfo> {
        let inner = self.inner.clone();
        let asked = spawn_blocking(move || {
            let name = if runtime.is_empty() { runtime::WHERRY_RUNTIME } else { &runtime };
            let binary = runtime::resolve(name, &inner.search)?;
            inner.daemon.ask_info(&binary, options.as_ref(), Timeouts::set().shim_cleanup)
        });
        asked.await.map_err(|e| Error::internal("cannot ask a shim").with_source(e))?
    }

    /// The task stands: its shim is found by name from now on, and watched.
    pub fn adopt(&self, shim: &Arc<Shim>) {
        self.write(|tasks| tasks.running.insert(shim.key(), shim.clone()));
        let (shims, shim) = (self.clone(), shim.clone());
        tokio::spawn(async move {
            shim.client.closed().await;
            shims.bury(&shim).await;
        });
    }

    /// Forgets a task, so that the end of its shim is no accident. False if it was forgotten already.
    fn forget(&self, shim: &Shim) -> bool {
        self.write(|tasks| {
            let is_this = tasks.running.get(&shim.key()).is_some_and(|found| std::ptr::eq(&**found, shim));
            is_this && tasks.running.remove(&shim.key()).is_some()
        })
    }

    fn read<T>(&self, look: impl FnOnce(&Tasks) -> T) -> T {
        look(&self.inner.tasks.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn write<T>(&self, change: impl FnOnce(&mut Tasks) -> T) -> T {
        change(&mut self.inner.tasks.write().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Shim {
    /// The connection to it.
    pub fn client(&self) -> &TaskClient {
        &self.client
    }

    /// How its task ended, if that is deleted already; the cell is filled by who deletes it.
    pub fn deleted(&self) -> &OnceCell<Exit> {
        &self.deleted
    }

    /// The task's id.
    pub fn id(&self) -> &str {
        &self.bundle.id
    }

    /// Where it serves.
    pub fn endpoint(&self) -> Result<Bootstrap> {
        self.bundle.load_bootstrap()
    }

    /// The task's bundle directory.
    pub fn bundle(&self) -> &std::path::Path {
        &self.bundle.path
    }

    /// The task's working directory, on the daemon's disk; it goes with the bundle.
    pub fn work(&self) -> &std::path::Path {
        self.bundle.work()
    }

    /// Whether it did not answer when it was last asked with others.
    pub fn is_silent(&self) -> bool {
        self.silent.load(Ordering::Relaxed)
    }

    /// Notes whether it answered in time.
    pub fn set_silent(&self, silent: bool) {
        self.silent.store(silent, Ordering::Relaxed);
    }

    /// Notes that it is asked to end, or is not any more.
    pub fn set_ending(&self, ending: bool) {
        self.ending.store(ending, Ordering::Relaxed);
    }

    /// Its binary.
    pub fn binary(&self) -> &std::path::Path {
        &self.binary
    }

    fn key(&self) -> Key {
        key(&self.bundle.namespace, &self.bundle.id)
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        self.shims.write(|tasks| tasks.reserved.remove(&self.key));
    }
}

async fn connect(
    bundle: Bundle,
    binary: PathBuf,
    log: Option<log::Forwarder>,
    at: &Bootstrap,
) -> Result<Arc<Shim>> {
    let client = TaskClient::connect(at, &bundle.namespace).await?;
    Ok(Arc::new(Shim {
        bundle,
        binary,
        client,
        known: Known::default(),
        silent: AtomicBool::new(false),
        ending: AtomicBool::new(false),
        told_deletion: AtomicBool::new(false),
        former: AtomicBool::new(false),
        deleted: OnceCell::new(),
        released: OnceCell::new(),
        _log: log,
    }))
}

fn key(namespace: &str, id: &str) -> Key {
    (namespace.to_owned(), id.to_owned())
}
