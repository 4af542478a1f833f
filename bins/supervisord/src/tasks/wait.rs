//! Waiting for a process to end.

use super::{Exit, ProcessId, Tasks};
use containerd_api::task::v3;
use errdefs::Result;

impl Tasks {
    /// Returns when a process has ended; at once if it has. It can be asked until the process is deleted.
    pub async fn wait(&self, process: ProcessId<'_>) -> Result<Exit> {
        let shim = self.shim(process)?;
        let request = v3::WaitRequest { id: shim.id().to_owned(), exec_id: process.exec_id() };
        let ended: v3::WaitResponse = shim.client().call("Wait", &request).await?;
        // Before the caller hears of it, who may look at a list next.
        shim.unlearn();
        Ok(Exit { pid: 0, status: ended.exit_status, at: ended.exited_at })
    }
}
