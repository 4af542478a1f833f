//! Freezing a task and letting it go on.

use super::{ProcessId, Tasks, changing};
use containerd_api::task::v3;
use errdefs::Result;

impl Tasks {
    /// Freezes every process of a task.
    pub async fn pause(&self, task: ProcessId<'_>) -> Result<()> {
        let shim = self.shim(task)?;
        let request = v3::PauseRequest { id: shim.id().to_owned() };
        changing(&shim, shim.client().call("Pause", &request)).await
    }

    /// Lets a frozen task go on.
    pub async fn resume(&self, task: ProcessId<'_>) -> Result<()> {
        let shim = self.shim(task)?;
        let request = v3::ResumeRequest { id: shim.id().to_owned() };
        changing(&shim, shim.client().call("Resume", &request)).await
    }
}
