//! State: a process as the shim knows it.

use crate::events::timestamp;
use crate::service::Tasks;
use containerd_api::task::v3::{StateRequest, StateResponse};
use errdefs::Result;
use std::sync::Arc;

/// Answers from memory.
pub(crate) async fn state(tasks: &Arc<Tasks>, request: StateRequest) -> Result<StateResponse> {
    let container = tasks.container(&request.id)?;
    let process = container.process(&request.exec_id)?;
    let exit = process.exit();
    let id = if process.is_init() { &container.id } else { &process.id };
    Ok(StateResponse {
        id: id.clone(),
        bundle: container.bundle.path().display().to_string(),
        pid: process.pid().unwrap_or_default() as u32,
        status: process.status().wire(),
        stdin: process.stdio.stdin.clone(),
        stdout: process.stdio.stdout.clone(),
        stderr: process.stdio.stderr.clone(),
        terminal: process.stdio.terminal,
        exit_status: exit.map_or(0, |exit| exit.status),
        exited_at: exit.map(|exit| timestamp(exit.at)),
        exec_id: process.id.clone(),
    })
}
