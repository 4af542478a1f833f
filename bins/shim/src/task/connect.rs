//! Connect: who keeps the container, and its init.

use crate::service::Tasks;
use containerd_api::task::v3::{ConnectRequest, ConnectResponse};
use errdefs::Result;
use std::sync::Arc;

/// Never fails: an unknown container has task pid 0.
pub(crate) async fn connect(tasks: &Arc<Tasks>, request: ConnectRequest) -> Result<ConnectResponse> {
    let pid = tasks.container(&request.id).ok().and_then(|container| container.init.pid());
    Ok(ConnectResponse {
        shim_pid: std::process::id(),
        task_pid: pid.unwrap_or_default() as u32,
        version: String::new(),
    })
}
