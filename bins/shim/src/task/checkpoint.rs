//! Checkpoint: a container's state, written to images.

use crate::command;
use crate::process::Verb;
use crate::service::Tasks;
use containerd_api::runc::v1::CheckpointOptions;
use containerd_api::task::v3::CheckpointTaskRequest;
use containerd_api::unpack;
use errdefs::{Error, Result};
use oci_runtime::Checkpoint;
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
    command::run(&tasks.surroundings.reaper, &container.runtime, "checkpoint", verb, None).await
}
