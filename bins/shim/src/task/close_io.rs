//! CloseIO: the end of a process's stdin.

use crate::process::Io;
use crate::service::Tasks;
use containerd_api::task::v3::CloseIoRequest;
use errdefs::Result;
use std::sync::Arc;

/// Closes stdin behind what the client has written so far.
pub(crate) async fn close_io(tasks: &Arc<Tasks>, request: CloseIoRequest) -> Result<()> {
    let process = tasks.container(&request.id)?.process(&request.exec_id)?;
    if request.stdin {
        process.with_io(Io::close_input);
    }
    Ok(())
}
