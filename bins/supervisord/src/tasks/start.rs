//! Starting a process that was created.

use super::{ProcessId, Tasks, changing};
use containerd_api::task::v3;
use errdefs::Result;

impl Tasks {
    /// Starts a process that was created; returns its pid.
    pub async fn start(&self, process: ProcessId<'_>) -> Result<u32> {
        let shim = self.shim(process)?;
        let request = v3::StartRequest { id: shim.id().to_owned(), exec_id: process.exec_id() };
        let started: Result<v3::StartResponse> = changing(&shim, shim.client().call("Start", &request)).await;
        Ok(started?.pid)
    }
}
