//! Checkpointing a task into a directory of the caller's choice.

use super::{ProcessId, Tasks};
use containerd_api::runc::v1::CheckpointOptions;
use containerd_api::task::v3;
use containerd_api::{Any, unpack};
use errdefs::{Error, Result};

impl Tasks {
    /// Writes a checkpoint where the options' `image_path` says.
    pub async fn checkpoint(&self, task: ProcessId<'_>, options: Option<Any>) -> Result<()> {
        let path = match &options {
            Some(any) => {
                let options: CheckpointOptions = unpack(any)
                    .map_err(|e| Error::invalid_argument("cannot read checkpoint options").with_source(e))?;
                options.image_path
            }
            None => String::new(),
        };
        if path.is_empty() {
            return Err(Error::unimplemented("checkpointing into the content store is not supported")
                .with_hint("Give a directory by the option image_path."));
        }
        let shim = self.shim(task)?;
        let request = v3::CheckpointTaskRequest { id: shim.id().to_owned(), path, options };
        shim.client().call("Checkpoint", &request).await
    }
}
