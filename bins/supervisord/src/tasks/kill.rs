//! Sending signals.

use super::{ProcessId, Tasks};
use containerd_api::task::v3;
use errdefs::Result;

impl Tasks {
    /// Sends a signal to a process, or to all of its task.
    pub async fn kill(&self, process: ProcessId<'_>, signal: u32, all: bool) -> Result<()> {
        let shim = self.shim(process)?;
        let request = v3::KillRequest { id: shim.id().to_owned(), exec_id: process.exec_id(), signal, all };
        shim.client().call("Kill", &request).await
    }
}
