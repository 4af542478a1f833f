//! Checkpoint: a container's state, written to images.

use crate::bundle::Bundle;
use crate::command;
use crate::process::Verb;
use crate::service::Tasks;
use containerd_api::runc::v1::CheckpointOptions;
use containerd_api::task::v3::CheckpointTaskRequest;
use containerd_api::unpack;
use errdefs::{Error, Result};
use oci_runtime::Checkpoint;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Asks the runtime, which asks CRIU.
pub(crate) async fn checkpoint(tasks: &Arc<Tasks>, request: CheckpointTaskRequest) -> Result<()> {
    let container = tasks.container(&request.id)?;
    let options: CheckpointOptions = match &request.options {
        Some(any) if !any.type_url.is_empty() => unpack(any)
            .map_err(|cause| Error::invalid_argument("cannot read checkpoint options").with_source(cause))?,
        _ => CheckpointOptions::default(),
    };
    let _change = container.change.lock().await;
    container.init.allow(Verb::Checkpoint)?;
    let given = |path: &str| (!path.is_empty()).then(|| PathBuf::from(path));
    let work = given(&options.work_path).or_else(|| given(&container.options.criu_work_path));
    let scratch = if work.is_none() { Some(Scratch::make(&container.bundle)?) } else { None };
    let work = work.or_else(|| scratch.as_ref().map(|scratch| scratch.0.clone()));
    let parent = given(&options.parent_path);
    let checkpoint = Checkpoint {
        image_path: Path::new(&request.path),
        work_path: work.as_deref(),
        parent_path: parent.as_deref(),
        leave_running: !options.exit,
        tcp_established: options.open_tcp,
        ext_unix_sk: options.external_unix_sockets,
        shell_job: options.terminal,
        file_locks: options.file_locks,
        empty_namespaces: &options.empty_namespaces,
        cgroups_mode: &options.cgroups_mode,
    };
    let verb = container.runtime.checkpoint(&container.id, &checkpoint);
    let done = command::run(&tasks.surroundings.reaper, &container.runtime, "checkpoint", verb, None).await;
    done.map_err(|error| match scratch.and_then(|scratch| scratch.keep_log(&container.bundle)) {
        Some(log) => Error::new(error.kind(), format!("{}: see {}", error.chain(), log.display())),
        None => error,
    })
}

/// Where CRIU works and logs if nobody says where; it goes when this is dropped.
struct Scratch(PathBuf);

impl Scratch {
    fn make(bundle: &Bundle) -> Result<Scratch> {
        let path = bundle.work().join("criu-work");
        let made = std::fs::DirBuilder::new().recursive(true).mode(0o700).create(&path);
        made.map_err(|cause| Error::unknown(format!("cannot make {}", path.display())).with_source(cause))?;
        Ok(Scratch(path))
    }

    /// Copies CRIU's log to the bundle, where it is as long as the task, if there is one.
    fn keep_log(&self, bundle: &Bundle) -> Option<PathBuf> {
        let kept = bundle.path().join("criu-dump.log");
        std::fs::copy(self.0.join("dump.log"), &kept).ok()?;
        Some(kept)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // With the bundle it goes in any case.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
