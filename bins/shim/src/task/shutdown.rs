//! Shutdown: the server ends, unless it still keeps containers or a sandbox.

use crate::service::Tasks;
use containerd_api::task::v3::ShutdownRequest;
use errdefs::Result;
use std::sync::Arc;

/// Answers at once; the answer is sent before the end.
pub(crate) async fn shutdown(tasks: &Arc<Tasks>, _request: ShutdownRequest) -> Result<()> {
    if tasks.is_empty() && tasks.sandbox.is_free() {
        tasks.ending.send_replace(true);
    }
    Ok(())
}
