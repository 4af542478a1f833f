//! Checkpointing a task, into a directory of the caller's choice or one of its own.

use super::{ProcessId, Tasks, changing};
use crate::shims::Shim;
use containerd_api::runc::v1::CheckpointOptions;
use containerd_api::task::v3;
use containerd_api::{Any, unpack};
use errdefs::{Error, Result};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

/// A directory of images beside a task's bundle; it goes when this is dropped, or with the task.
pub struct Images(PathBuf);

impl Images {
    /// An empty directory.
    pub fn new(shim: &Shim) -> Result<Images> {
        for number in 0u32.. {
            let path = shim.work().join(format!("checkpoint-{number}"));
            match std::fs::DirBuilder::new().mode(0o700).create(&path) {
                Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
                Err(cause) => {
                    let text = format!("cannot make {}", path.display());
                    return Err(Error::unknown(text).with_source(cause));
                }
                Ok(()) => return Ok(Images(path)),
            }
        }
        Err(Error::internal("cannot name a directory for a checkpoint"))
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Leaves it to the task.
    pub fn keep(mut self) -> PathBuf {
        std::mem::take(&mut self.0)
    }
}

impl Drop for Images {
    fn drop(&mut self) {
        if !self.0.as_os_str().is_empty() {
            // With the task it goes in any case.
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }
}

impl Tasks {
    /// Writes a checkpoint where the options' `image_path` says; without that, into a directory that is returned.
    pub async fn checkpoint(&self, task: ProcessId<'_>, options: Option<Any>) -> Result<Option<Images>> {
        let shim = self.shim(task)?;
        let given = match options.as_ref().filter(|any| !any.type_url.is_empty()) {
            Some(any) => {
                let options: CheckpointOptions = unpack(any)
                    .map_err(|e| Error::invalid_argument("cannot read checkpoint options").with_source(e))?;
                options.image_path
            }
            None => String::new(),
        };
        let images = if given.is_empty() { Some(Images::new(&shim)?) } else { None };
        let path = images.as_ref().map_or(given, |images| images.path().to_string_lossy().into_owned());
        let request = v3::CheckpointTaskRequest { id: shim.id().to_owned(), path, options };
        changing(&shim, shim.client().call::<_, ()>("Checkpoint", &request)).await?;
        Ok(images)
    }
}
