//! Tasks: what a container record becomes when it runs. One verb, one file.

mod checkpoint;
mod create;
mod delete;
mod list;
mod metrics;

pub use create::{Create, Runtime};

use crate::shims::{Shim, Shims};
use containerd_api::task::v3;
use containerd_api::v1::types::{Process, ProcessInfo};
use containerd_api::{Any, Timestamp};
use errdefs::{Error, Result};
use std::sync::Arc;
use std::time::Duration;

/// How long a shim may take to say how its task is, before a list goes on without it.
const STATE: Duration = Duration::from_secs(2);

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

    /// Starts a process that was created; returns its pid.
    pub async fn start(&self, process: ProcessId<'_>) -> Result<u32> {
        let shim = self.shim(process)?;
        let request = v3::StartRequest { id: shim.id().to_owned(), exec_id: process.exec_id() };
        let started: v3::StartResponse = shim.client().call("Start", &request).await?;
        Ok(started.pid)
    }

    /// Adds a process, by an OCI process in JSON, to a running task.
    pub async fn exec(&self, process: ProcessId<'_>, mut request: v3::ExecProcessRequest) -> Result<()> {
        if process.exec.is_empty() {
            return Err(Error::invalid_argument("exec id cannot be empty"));
        }
        if metadata::validate_identifier(process.exec).is_err() {
            return Err(Error::invalid_argument(format!("invalid exec id {:?}", process.exec)));
        }
        let shim = self.shim(process)?;
        request.id = shim.id().to_owned();
        request.exec_id = process.exec_id();
        shim.client().call("Exec", &request).await
    }

    /// Sends a signal to a process, or to all of its task.
    pub async fn kill(&self, process: ProcessId<'_>, signal: u32, all: bool) -> Result<()> {
        let shim = self.shim(process)?;
        let request = v3::KillRequest { id: shim.id().to_owned(), exec_id: process.exec_id(), signal, all };
        shim.client().call("Kill", &request).await
    }

    /// Returns when a process has ended; at once if it has. It can be asked until the process is deleted.
    pub async fn wait(&self, process: ProcessId<'_>) -> Result<Exit> {
        let shim = self.shim(process)?;
        let request = v3::WaitRequest { id: shim.id().to_owned(), exec_id: process.exec_id() };
        let ended: v3::WaitResponse = shim.client().call("Wait", &request).await?;
        Ok(Exit { pid: 0, status: ended.exit_status, at: ended.exited_at })
    }

    /// Freezes every process of a task.
    pub async fn pause(&self, task: ProcessId<'_>) -> Result<()> {
        let shim = self.shim(task)?;
        shim.client().call("Pause", &v3::PauseRequest { id: shim.id().to_owned() }).await
    }

    /// Lets a frozen task go on.
    pub async fn resume(&self, task: ProcessId<'_>) -> Result<()> {
        let shim = self.shim(task)?;
        shim.client().call("Resume", &v3::ResumeRequest { id: shim.id().to_owned() }).await
    }

    /// Sets the size of a process's terminal, in cells.
    pub async fn resize(&self, process: ProcessId<'_>, width: u32, height: u32) -> Result<()> {
        let shim = self.shim(process)?;
        let request =
            v3::ResizePtyRequest { id: shim.id().to_owned(), exec_id: process.exec_id(), width, height };
        shim.client().call("ResizePty", &request).await
    }

    /// Closes a process's input.
    pub async fn close_io(&self, process: ProcessId<'_>, stdin: bool) -> Result<()> {
        let shim = self.shim(process)?;
        let request = v3::CloseIoRequest { id: shim.id().to_owned(), exec_id: process.exec_id(), stdin };
        shim.client().call("CloseIO", &request).await
    }

    /// Every process of a task, by pid.
    pub async fn pids(&self, task: ProcessId<'_>) -> Result<Vec<ProcessInfo>> {
        let shim = self.shim(task)?;
        let request = v3::PidsRequest { id: shim.id().to_owned() };
        let found: v3::PidsResponse = shim.client().call("Pids", &request).await?;
        Ok(found.processes)
    }

    /// Changes the limits of a running task.
    pub async fn update(
        &self,
        task: ProcessId<'_>,
        resources: Option<Any>,
        annotations: std::collections::HashMap<String, String>,
    ) -> Result<()> {
        let shim = self.shim(task)?;
        let request = v3::UpdateTaskRequest { id: shim.id().to_owned(), resources, annotations };
        shim.client().call("Update", &request).await
    }

    /// How a process is.
    pub async fn get(&self, process: ProcessId<'_>) -> Result<Process> {
        let shim = self.shim(process)?;
        state(&shim, process.exec).await
    }
}

/// Asks a shim how a process is. A shim that has gone has no process any more.
async fn state(shim: &Shim, exec: &str) -> Result<Process> {
    let request = v3::StateRequest { id: shim.id().to_owned(), exec_id: exec.to_owned() };
    let answer = shim.client().call_within::<_, v3::StateResponse>("State", &request, Some(STATE)).await;
    let state = answer.map_err(|error| match crate::shims::is_closed(&error) {
        true => Error::not_found(format!("task {} not found", shim.id())),
        false => error,
    })?;
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
