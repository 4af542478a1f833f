//! Creating a task: a bundle, a shim, and in it a process that waits to be started.

use super::checkpoint::Images;
use super::delete::delete_in;
use super::{ProcessId, Tasks};
use crate::shims::{Join, Shim, Start};
use containerd_api::Any;
use containerd_api::task::v3;
use containerd_api::types::Mount;
use errdefs::{Error, Kind, Result};
use std::path::Path;
use std::time::Duration;
use tokio::sync::oneshot;

/// How long a shim may go on to make a task that nobody waits for any more.
const LEFT: Duration = Duration::from_secs(5);

/// What a task is made from.
pub struct Create {
    /// The container's namespace.
    pub namespace: String,
    /// The container's id, which becomes the task's.
    pub id: String,
    /// The OCI spec, as JSON.
    pub spec: Vec<u8>,
    /// What runs it.
    pub runtime: Runtime,
    /// The shim that it is made in, of a sandbox; else one is started.
    pub join: Option<Join>,
    /// The mounts that make the root file system, in order.
    pub rootfs: Vec<Mount>,
    /// Where input comes from and output goes: paths of fifos, or URIs.
    pub stdin: String,
    /// See `stdin`.
    pub stdout: String,
    /// See `stdin`.
    pub stderr: String,
    /// Whether the process gets a terminal.
    pub terminal: bool,
    /// What it begins from.
    pub restored: Restored,
}

/// What a task begins from.
pub enum Restored {
    /// Nothing: its process starts.
    Fresh,
    /// A directory with the images of a checkpoint.
    From(String),
    /// What this brings into a directory.
    Filled(Fill),
}

/// Puts the images of a checkpoint into a directory.
pub type Fill = Box<dyn FnOnce(&Path) -> Result<()> + Send>;

/// A runtime's name or path, and its options.
pub struct Runtime {
    /// `io.containerd.runc.v2`, say, or a path.
    pub name: String,
    /// Options in the runtime's own type.
    pub options: Option<Any>,
}

impl Tasks {
    /// Creates the task and returns init's pid. A task that cannot be made leaves nothing behind, nor does one
    /// whose caller goes away meanwhile: what was begun is ended, and its name is free again.
    pub async fn create(&self, create: Create) -> Result<u32> {
        let (tasks, (waiting, caller)) = (self.clone(), oneshot::channel::<()>());
        let work = tokio::spawn(async move { tasks.create_now(create, caller).await });
        let made = work.await.map_err(|e| Error::internal("cannot create a task").with_source(e))?;
        drop(waiting);
        made
    }

    async fn create_now(&self, mut create: Create, caller: oneshot::Receiver<()>) -> Result<u32> {
        metadata::validate_identifier(&create.id).map_err(|cause| {
            Error::invalid_argument(format!("invalid task id {}", create.id)).with_source(cause)
        })?;
        let name = self.shims.reserve(&create.namespace, &create.id)?;
        let shim = match create.join.take() {
            Some(join) => self.shims.join(&name, join, &create.runtime.name, &create.spec).await?,
            None => {
                let start = Start {
                    runtime: &create.runtime.name,
                    options: create.runtime.options.as_ref(),
                    spec: &create.spec,
                };
                self.shims.start(&name, start).await?
            }
        };
        let made = async {
            let making = create_in(&shim, create);
            tokio::pin!(making);
            tokio::select! {
                made = &mut making => return made,
                _ = caller => {}
            }
            match tokio::time::timeout(LEFT, making).await {
                Ok(Ok(_)) => delete_in(&shim, "").await.map(drop)?,
                Ok(Err(error)) => return Err(error),
                Err(_) => self.shims.kill(&shim).await,
            }
            Err(Error::new(Kind::Canceled, "failed to create shim task: its caller has gone"))
        };
        match made.await {
            Ok(pid) => {
                self.shims.adopt(&shim);
                Ok(pid)
            }
            Err(error) => {
                self.shims.abandon(&shim).await;
                Err(error)
            }
        }
    }

    /// The task's process that `create` made is init.
    pub fn init<'a>(namespace: &'a str, task: &'a str) -> ProcessId<'a> {
        ProcessId { namespace, task, exec: "" }
    }
}

/// The directory of images to restore from; empty for a fresh start. The restoration comes with the start, so
/// what is made here stays as long as the task.
async fn images_of(shim: &Shim, restored: Restored) -> Result<String> {
    let fill = match restored {
        Restored::Fresh => return Ok(String::new()),
        Restored::From(path) => return Ok(path),
        Restored::Filled(fill) => fill,
    };
    let images = Images::new(shim)?;
    let filled = tokio::task::spawn_blocking(move || fill(images.path()).map(|()| images));
    let images =
        filled.await.map_err(|e| Error::internal("cannot extract a checkpoint").with_source(e))??;
    Ok(images.keep().to_string_lossy().into_owned())
}

async fn create_in(shim: &Shim, create: Create) -> Result<u32> {
    let checkpoint = images_of(shim, create.restored).await?;
    let request = v3::CreateTaskRequest {
        id: create.id,
        bundle: shim.bundle().to_string_lossy().into_owned(),
        rootfs: create.rootfs,
        terminal: create.terminal,
        stdin: create.stdin,
        stdout: create.stdout,
        stderr: create.stderr,
        checkpoint,
        parent_checkpoint: String::new(),
        options: create.runtime.options,
    };
    let created: Result<v3::CreateTaskResponse> = shim.client().call("Create", &request).await;
    let failed = |cause: Error| Error::new(cause.kind(), "failed to create shim task").with_source(cause);
    Ok(created.map_err(failed)?.pid)
}
