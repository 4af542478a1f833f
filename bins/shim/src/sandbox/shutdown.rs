//! ShutdownSandbox: the end of the sandbox, of the containers in it, and of this shim.

use super::create::quiet;
use super::stop::end_all;
use crate::journal::warn;
use crate::service::Tasks;
use crate::task;
use containerd_api::runtime::sandbox::v1::{ShutdownSandboxRequest, ShutdownSandboxResponse};
use containerd_api::task::v3::DeleteRequest;
use errdefs::Result;
use std::sync::Arc;
use std::time::Duration;

/// Nothing of it is left. Without a sandbox, as after a creation that failed, a shim without containers ends, too.
pub(super) async fn shutdown(
    tasks: &Arc<Tasks>,
    request: ShutdownSandboxRequest,
) -> Result<ShutdownSandboxResponse> {
    match tasks.sandbox.get(&request.sandbox_id) {
        Ok(sandbox) => {
            end_all(tasks, &sandbox, Duration::ZERO).await?;
            for container in tasks.all() {
                // Their daemons may not come for them any more.
                let delete = DeleteRequest { id: container.id.clone(), exec_id: String::new() };
                if let Err(error) = task::delete(tasks, delete).await {
                    warn(&format!("cannot delete {} with its sandbox: {}", container.id, error.chain()));
                }
            }
            if let Some(container) = sandbox.container() {
                task::remove(container, &quiet(&tasks.surroundings)).await?;
            }
            tasks.sandbox.clear();
        }
        Err(missing) if !(tasks.sandbox.is_free() && tasks.is_empty()) => return Err(missing),
        Err(_) => {}
    }
    tasks.ending.send_replace(true);
    Ok(ShutdownSandboxResponse {})
}
