//! Closing a process's input.

use super::{ProcessId, Tasks};
use containerd_api::task::v3;
use errdefs::Result;

impl Tasks {
    /// Closes a process's input.
    pub async fn close_io(&self, process: ProcessId<'_>, stdin: bool) -> Result<()> {
        let shim = self.shim(process)?;
        let request = v3::CloseIoRequest { id: shim.id().to_owned(), exec_id: process.exec_id(), stdin };
        shim.client().call("CloseIO", &request).await
    }
}
