//! Changing the limits of a running task.

use super::{ProcessId, Tasks};
use containerd_api::Any;
use containerd_api::task::v3;
use errdefs::Result;

impl Tasks {
    /// Changes the limits of a running task.
    pub async fn update(
        &self,
        task: ProcessId<'_>,
        resources: Option<Any>,
        annotations: std::collections::HashMap<String, String>,
    ) -> Result<()> {
        let shim = self.shim(task)?;
        let request = v3::UpdateTaskRequest { id: shim.id().to_owned(), resources, annotations };
        shim.client().call("Update", &request).await
    }
}
