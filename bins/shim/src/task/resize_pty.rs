//! ResizePty: the size of a process's terminal.

use crate::process::Verb;
use crate::service::Tasks;
use containerd_api::task::v3::ResizePtyRequest;
use errdefs::{Error, Result};
use std::sync::Arc;

/// Sets the size; a process without a terminal takes no notice.
pub(crate) async fn resize_pty(tasks: &Arc<Tasks>, request: ResizePtyRequest) -> Result<()> {
    let process = tasks.container(&request.id)?.process(&request.exec_id)?;
    process.allow(Verb::Resize)?;
    process
        .with_io(|io| io.resize(request.width, request.height))
        .unwrap_or(Ok(()))
        .map_err(|cause| Error::unknown("cannot resize the terminal").with_source(cause))
}
