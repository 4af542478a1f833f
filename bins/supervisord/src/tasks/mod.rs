//! Tasks: what a container record becomes when it runs. One verb, one file.

mod checkpoint;
mod close_io;
mod create;
mod delete;
mod exec;
mod kill;
mod list;
mod metrics;
mod pause;
mod pids;
mod resize;
mod start;
mod update;
mod wait;

pub use create::{Create, Restored, Runtime};

use crate::config::Timeouts;
use crate::shims::{Shim, Shims};
use containerd_api::Timestamp;
use containerd_api::task::v3;
use containerd_api::v1::types::Process;
use errdefs::{Error, Kind, Result};
use std::sync::Arc;
use std::time::Duration;

/// The tasks of every namespace.
#[derive(Clone)]
pub struct Tasks {
    shims: Shims,
}

/// How a process ended.
#[derive(Clone, Debug, PartialEq)]
pub struct Exit {
    /// The process.
    pub pid: u32,
    /// Its exit status; 128 and the signal's number if a signal ended it.
    pub status: u32,
    /// When.
    pub at: Option<Timestamp>,
}

/// A process of a task: init, or one that exec added.
#[derive(Clone, Copy)]
pub struct ProcessId<'a> {
    /// The task's namespace.
    pub namespace: &'a str,
    /// The task's id.
    pub task: &'a str,
    /// The process's id; empty for init.
    pub exec: &'a str,
}

impl ProcessId<'_> {
    fn exec_id(&self) -> String {
        self.exec.to_owned()
    }
}

impl Tasks {
    /// Tasks served by these shims.
    pub fn new(shims: Shims) -> Tasks {
        Tasks { shims }
    }

    fn shim(&self, process: ProcessId<'_>) -> Result<Arc<Shim>> {
        self.shims.get(process.namespace, process.task)
    }

    /// How a process is.
    pub async fn get(&self, process: ProcessId<'_>) -> Result<Process> {
        let shim = self.shim(process)?;
        self.state_within(shim, process.exec, Timeouts::set().task_state).await
    }

    /// Asks a shim how a process is. A shim that has gone has no process any more; one that knows no such task is
    /// let go, so that its name is free again.
    async fn state_within(&self, shim: Arc<Shim>, exec: &str, limit: Duration) -> Result<Process> {
        match state_within(&shim, exec, limit).await {
            Err(error) if crate::shims::is_closed(&error) => {
                Err(Error::not_found(format!("task {} not found", shim.id())))
            }
            Err(error) if error.kind() == Kind::NotFound && exec.is_empty() => {
                let shims = self.shims.clone();
                tokio::spawn(async move { shims.release_deserted(shim).await });
                Err(error)
            }
            state => state,
        }
    }
}

/// Does what changes a task: what was known of it holds neither meanwhile nor after.
async fn changing<T>(shim: &Shim, change: impl Future<Output = T>) -> T {
    shim.unlearn();
    let done = change.await;
    shim.unlearn();
    done
}

async fn state_within(shim: &Shim, exec: &str, limit: Duration) -> Result<Process> {
    let request = v3::StateRequest { id: shim.id().to_owned(), exec_id: exec.to_owned() };
    let state: v3::StateResponse = shim.client().call_within("State", &request, Some(limit)).await?;
    Ok(Process {
        container_id: String::new(),
        id: if exec.is_empty() { state.id } else { exec.to_owned() },
        pid: state.pid,
        status: state.status,
        stdin: state.stdin,
        stdout: state.stdout,
        stderr: state.stderr,
        terminal: state.terminal,
        exit_status: state.exit_status,
        exited_at: state.exited_at,
    })
}
