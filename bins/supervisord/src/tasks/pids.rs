//! The processes of a task.

use super::{ProcessId, Tasks};
use containerd_api::task::v3;
use containerd_api::v1::types::ProcessInfo;
use errdefs::Result;

impl Tasks {
    /// Every process of a task, by pid.
    pub async fn pids(&self, task: ProcessId<'_>) -> Result<Vec<ProcessInfo>> {
        let shim = self.shim(task)?;
        let request = v3::PidsRequest { id: shim.id().to_owned() };
        let found: v3::PidsResponse = shim.client().call("Pids", &request).await?;
        Ok(found.processes)
    }
}
