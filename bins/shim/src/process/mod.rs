//! A process of a container: init or an exec.

mod io;
mod status;

pub(crate) use io::{Io, Prepared, Stdio};
pub(crate) use status::{Status, Verb};

use crate::reaper::Exit;
use errdefs::{Error, Result};
use std::sync::{Mutex, MutexGuard, PoisonError};
use tokio::sync::watch;

/// One process, from its request until it is deleted.
pub(crate) struct Process {
    /// The exec's id; empty for init.
    pub(crate) id: String,
    /// What the client asked for as standard streams.
    pub(crate) stdio: Stdio,
    /// An exec's process, JSON (config.md#process).
    pub(crate) spec: Vec<u8>,
    /// Held while the process is being created, started or deleted: its exit is not told before.
    pub(crate) busy: tokio::sync::Mutex<()>,
    live: Mutex<Live>,
    exit: watch::Sender<Option<Exit>>,
}

struct Live {
    status: Status,
    pid: Option<i32>,
    io: Option<Io>,
}

impl Process {
    /// A process that was asked for.
    pub(crate) fn new(id: &str, stdio: Stdio, spec: Vec<u8>) -> Process {
        Process {
            id: id.to_owned(),
            stdio,
            spec,
            busy: tokio::sync::Mutex::new(()),
            live: Mutex::new(Live { status: Status::Created, pid: None, io: None }),
            exit: watch::Sender::new(None),
        }
    }

    /// Whether it is the container's init.
    pub(crate) fn is_init(&self) -> bool {
        self.id.is_empty()
    }

    pub(crate) fn status(&self) -> Status {
        self.live().status
    }

    /// Refuses `verb` if the status does not allow it.
    pub(crate) fn allow(&self, verb: Verb) -> Result<()> {
        self.status().allow(verb, self.is_init())
    }

    /// Sets the status, except of a process that has ended: it stays so.
    pub(crate) fn set_status(&self, status: Status) {
        let mut live = self.live();
        if !matches!(live.status, Status::Stopped | Status::Deleted) || status == Status::Deleted {
            live.status = status;
        }
    }

    pub(crate) fn pid(&self) -> Option<i32> {
        self.live().pid
    }

    /// The pid of a process that has not ended.
    pub(crate) fn live_pid(&self) -> Option<i32> {
        if self.exit().is_some() { None } else { self.pid() }
    }

    /// Notes what the runtime made.
    pub(crate) fn made(&self, pid: i32, io: Io) {
        let mut live = self.live();
        live.pid = Some(pid);
        live.io = Some(io);
    }

    /// How it ended, once that is told.
    pub(crate) fn exit(&self) -> Option<Exit> {
        *self.exit.borrow()
    }

    /// Makes the exit known; the process is stopped then.
    pub(crate) fn end(&self, exit: Exit) {
        self.live().status = Status::Stopped;
        self.exit.send_replace(Some(exit));
    }

    /// Resolves with the exit when it is known.
    pub(crate) async fn ended(&self) -> Exit {
        let mut exit = self.exit.subscribe();
        match exit.wait_for(Option::is_some).await {
            Ok(exit) => exit.unwrap_or_else(Exit::killed),
            Err(_) => Exit::killed(),
        }
    }

    /// Works on the streams, if there are any.
    pub(crate) fn with_io<T>(&self, work: impl FnOnce(&mut Io) -> T) -> Option<T> {
        self.live().io.as_mut().map(work)
    }

    /// Takes the streams away, to wait for them without a lock.
    pub(crate) fn take_io(&self) -> Option<Io> {
        self.live().io.take()
    }

    /// Gives them back.
    pub(crate) fn give_io(&self, io: Option<Io>) {
        self.live().io = io;
    }

    fn live(&self) -> MutexGuard<'_, Live> {
        self.live.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Refuses ids that are no containerd identifiers: they become file names.
pub(crate) fn check_exec_id(id: &str) -> Result<()> {
    if id.is_empty() {
        return Err(Error::invalid_argument("exec id cannot be empty"));
    }
    let fits = id.len() <= 76
        && id
            .split(['-', '_', '.'])
            .all(|part| !part.is_empty() && part.bytes().all(|b| b.is_ascii_alphanumeric()));
    if fits { Ok(()) } else { Err(Error::invalid_argument(format!("invalid exec id {id:?}"))) }
}
