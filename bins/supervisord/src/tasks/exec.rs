//! Adding a process to a running task.

use super::{ProcessId, Tasks};
use containerd_api::task::v3;
use errdefs::{Error, Result};

impl Tasks {
    /// Adds a process, by an OCI process in JSON, to a running task.
    pub async fn exec(&self, process: ProcessId<'_>, mut request: v3::ExecProcessRequest) -> Result<()> {
        if process.exec.is_empty() {
            return Err(Error::invalid_argument("exec id cannot be empty"));
        }
        metadata::validate_identifier(process.exec).map_err(|cause| {
            Error::invalid_argument(format!("invalid exec id {}", process.exec)).with_source(cause)
        })?;
        let shim = self.shim(process)?;
        request.id = shim.id().to_owned();
        request.exec_id = process.exec_id();
        shim.client().call("Exec", &request).await
    }
}
