//! Exec: one more process for a container, to be started by Start.

use crate::process::{Process, Stdio, Verb, check_exec_id};
use crate::service::Tasks;
use containerd_api::events::TaskExecAdded;
use containerd_api::task::v3::ExecProcessRequest;
use errdefs::{Error, Result};
use std::sync::Arc;

/// Takes note of the process.
pub(crate) async fn exec(tasks: &Arc<Tasks>, request: ExecProcessRequest) -> Result<()> {
    let container = tasks.container(&request.id)?;
    check_exec_id(&request.exec_id)?;
    container.init.allow(Verb::Exec)?;
    let spec = request.spec.ok_or_else(|| Error::invalid_argument("process spec cannot be empty"))?;
    let stdio = Stdio {
        stdin: request.stdin,
        stdout: request.stdout,
        stderr: request.stderr,
        terminal: request.terminal,
    };
    container.add_exec(Process::new(&request.exec_id, stdio, spec.value))?;
    let event = TaskExecAdded { container_id: container.id.clone(), exec_id: request.exec_id };
    tasks.surroundings.events.publish("/tasks/exec-added", &event);
    Ok(())
}
