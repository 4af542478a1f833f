//! The size of a process's terminal.

use super::{ProcessId, Tasks};
use containerd_api::task::v3;
use errdefs::Result;

impl Tasks {
    /// Sets the size of a process's terminal, in cells.
    pub async fn resize(&self, process: ProcessId<'_>, width: u32, height: u32) -> Result<()> {
        let shim = self.shim(process)?;
        let request =
            v3::ResizePtyRequest { id: shim.id().to_owned(), exec_id: process.exec_id(), width, height };
        shim.client().call("ResizePty", &request).await
    }
}
