//! StartSandbox: from here on containers can enter it.

use super::create::quiet;
use super::{Sandbox, What};
use crate::bundle::Bundle;
use crate::events::timestamp;
use crate::process::{Io, Status, Verb};
use crate::service::Tasks;
use crate::task;
use containerd_api::runtime::sandbox::v1::{StartSandboxRequest, StartSandboxResponse};
use errdefs::{Error, Result};
use std::sync::Arc;

pub(super) async fn start(tasks: &Arc<Tasks>, request: StartSandboxRequest) -> Result<StartSandboxResponse> {
    let sandbox = tasks.sandbox.get(&request.sandbox_id)?;
    let change = sandbox.change.lock().await;
    let process = sandbox.process();
    process.allow(Verb::Start)?;
    match &sandbox.what {
        What::Container(container) => task::start_init(container, &quiet(&tasks.surroundings)).await?,
        What::Namespaces(..) => keep_namespaces(tasks, &sandbox)?,
    }
    process.set_status(Status::Running);
    drop(change);
    Ok(StartSandboxResponse {
        pid: process.pid().unwrap_or_default() as u32,
        created_at: Some(timestamp(sandbox.created)),
        spec: None,
    })
}

/// Starts the process that keeps the namespaces, and takes note of its end when it comes.
fn keep_namespaces(tasks: &Tasks, sandbox: &Arc<Sandbox>) -> Result<()> {
    let What::Namespaces(namespaces, process) = &sandbox.what else { return Ok(()) };
    let reaper = &tasks.surroundings.reaper;
    let claim = reaper.claim();
    let pid = namespaces.start()?.as_raw_nonzero().get();
    process.made(pid, Io::default());
    let exit = reaper.watch(pid);
    drop(claim);
    // Daemons see by it that there was a process.
    let noted = Bundle::current().map(|bundle| std::fs::write(bundle.pid_file(""), pid.to_string()));
    if !matches!(noted, Ok(Ok(()))) {
        crate::journal::warn("cannot note the sandbox's process in its bundle");
    }
    let ended = process.clone();
    tokio::spawn(async move {
        if let Ok(exit) = exit.await {
            ended.end(exit);
        }
    });
    Ok(())
}

/// A sandbox whose process is there.
pub(super) fn running(sandbox: &Sandbox) -> Result<u32> {
    let pid = sandbox.process().live_pid().filter(|_| sandbox.process().status() != Status::Created);
    let pid =
        pid.ok_or_else(|| Error::failed_precondition(format!("sandbox {:?} does not run", sandbox.id)))?;
    Ok(pid as u32)
}
