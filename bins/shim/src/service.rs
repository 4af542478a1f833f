//! The task service: methods of `containerd.task.v3.Task`, and of v2, whose messages are the same.

use crate::container::{Container, Surroundings};
use crate::journal;
use crate::rest::Rest;
use crate::sandbox::Place;
use crate::task;
use containerd_api::task::v3 as api;
use errdefs::{Error, Result};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::watch;
use ttrpc::{Context, Reply, Server, Service, respond};

/// The names under which the service is served.
pub(crate) const NAMES: [&str; 2] = ["containerd.task.v3.Task", "containerd.task.v2.Task"];

/// The containers of this shim.
pub(crate) struct Tasks {
    pub(crate) surroundings: Surroundings,
    containers: Mutex<HashMap<String, Slot>>,
    /// The sandbox that they are in, if a daemon made one.
    pub(crate) sandbox: Place,
    /// Turns true when the server shall end.
    pub(crate) ending: watch::Sender<bool>,
    /// Is told of every call.
    pub(crate) rest: Rest,
}

/// A container, or the promise of one.
enum Slot {
    Creating,
    Ready(Arc<Container>),
}

impl Tasks {
    /// None, inside a runtime.
    pub(crate) fn new(surroundings: Surroundings) -> Tasks {
        let (containers, sandbox) = (Mutex::default(), Place::default());
        let (ending, rest) = (watch::Sender::new(false), Rest::watch());
        Tasks { surroundings, containers, sandbox, ending, rest }
    }

    /// The container of an id.
    pub(crate) fn container(&self, id: &str) -> Result<Arc<Container>> {
        match self.containers().get(id) {
            Some(Slot::Ready(container)) => Ok(container.clone()),
            _ => Err(Error::not_found("container not created")),
        }
    }

    /// Those that are made.
    pub(crate) fn all(&self) -> Vec<Arc<Container>> {
        let ready = |slot: &Slot| match slot {
            Slot::Ready(container) => Some(container.clone()),
            Slot::Creating => None,
        };
        self.containers().values().filter_map(ready).collect()
    }

    /// Keeps an id for a container that is being made.
    pub(crate) fn reserve(self: &Arc<Self>, id: &str) -> Result<Reservation> {
        let mut containers = self.containers();
        if containers.contains_key(id) {
            return Err(Error::already_exists(format!("container {id}")));
        }
        containers.insert(id.to_owned(), Slot::Creating);
        Ok(Reservation { tasks: self.clone(), id: id.to_owned() })
    }

    /// Forgets a container.
    pub(crate) fn remove(&self, id: &str) {
        self.containers().remove(id);
    }

    /// Whether there are none.
    pub(crate) fn is_empty(&self) -> bool {
        self.containers().is_empty()
    }

    /// Logs what is kept, for who sends SIGUSR1 to learn what a shim is about.
    pub(crate) fn report(&self) {
        let containers = self.containers();
        for (id, slot) in containers.iter() {
            match slot {
                Slot::Creating => journal::info(&format!("{id}: being created")),
                Slot::Ready(container) => container.describe().iter().for_each(|line| journal::info(line)),
            }
        }
        journal::info(&format!("{} containers", containers.len()));
    }

    fn containers(&self) -> MutexGuard<'_, HashMap<String, Slot>> {
        self.containers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// See [`Tasks::reserve`]: dropped, the id is free again.
pub(crate) struct Reservation {
    tasks: Arc<Tasks>,
    id: String,
}

impl Reservation {
    /// The container is there.
    pub(crate) fn fill(self, container: Arc<Container>) {
        self.tasks.containers().insert(self.id.clone(), Slot::Ready(container));
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        let mut containers = self.tasks.containers();
        if matches!(containers.get(&self.id), Some(Slot::Creating)) {
            containers.remove(&self.id);
        }
    }
}

/// The service on the wire.
pub(crate) struct TaskService(pub(crate) Arc<Tasks>);

impl Service for TaskService {
    fn call(&self, context: Context, method: &str, payload: prost::bytes::Bytes) -> Reply<'static> {
        let tasks = self.0.clone();
        tasks.rest.disturb();
        macro_rules! answer {
            ($verb:path) => {
                respond(payload, async move |request| $verb(&tasks, request).await.map_err(Into::into))
            };
        }
        match method {
            "State" => answer!(task::state),
            "Create" => answer!(task::create),
            "Start" => answer!(task::start),
            "Delete" => answer!(task::delete),
            "Pids" => answer!(task::pids),
            "Pause" => answer!(task::pause),
            "Resume" => answer!(task::resume),
            "Checkpoint" => answer!(task::checkpoint),
            "Kill" => answer!(task::kill),
            "Exec" => answer!(task::exec),
            "ResizePty" => answer!(task::resize_pty),
            "CloseIO" => answer!(task::close_io),
            "Update" => answer!(task::update),
            "Wait" => respond(payload, async move |request: api::WaitRequest| {
                task::wait(&tasks, request, context.ended()).await.map_err(Into::into)
            }),
            "Stats" => answer!(task::stats),
            "Connect" => answer!(task::connect),
            "Shutdown" => answer!(task::shutdown),
            other => {
                let status = Server::unknown_method(other);
                Box::pin(std::future::ready(Err(status)))
            }
        }
    }
}
