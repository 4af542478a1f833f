//! Delete: a process that has ended, or was never started, and with init the container.

use crate::command;
use crate::container::{Container, Surroundings};
use crate::events::timestamp;
use crate::process::{Process, Status, Verb};
use crate::reaper::Exit;
use crate::rootfs;
use crate::service::Tasks;
use containerd_api::events::TaskDelete;
use containerd_api::task::v3::{DeleteRequest, DeleteResponse};
use errdefs::{Error, Result};
use std::sync::Arc;
use std::time::Duration;

/// How long the ends of its outputs are waited for: others may hold them.
const OUTPUT_ENDS: Duration = Duration::from_secs(2);
/// How long a created init may take to die of its deletion.
const DEATH: Duration = Duration::from_secs(10);
/// How often a runtime is asked that cannot remove the container yet.
const TRIES: u32 = 5;
const PAUSE: Duration = Duration::from_millis(100);

/// Answers with the exit that was told before.
pub(crate) async fn delete(tasks: &Arc<Tasks>, request: DeleteRequest) -> Result<DeleteResponse> {
    let container = tasks.container(&request.id)?;
    let process = container.process(&request.exec_id)?;
    let busy = process.busy.lock().await;
    process.allow(Verb::Delete)?;
    if !process.is_init() {
        close(&process).await;
        process.set_status(Status::Deleted);
        let _ = std::fs::remove_file(container.bundle.pid_file(&process.id));
        container.remove_exec(&process.id);
        return Ok(response(&process));
    }
    drop(busy);
    let response = remove(&container, &tasks.surroundings).await?;
    tasks.surroundings.events.publish(
        "/tasks/delete",
        &TaskDelete {
            container_id: container.id.clone(),
            pid: response.pid,
            exit_status: response.exit_status,
            exited_at: response.exited_at,
            id: String::new(),
        },
    );
    tasks.remove(&container.id);
    Ok(response)
}

/// Removes a container whose init has ended or was never started, and says how it ended.
pub(crate) async fn remove(
    container: &Arc<Container>,
    surroundings: &Surroundings,
) -> Result<DeleteResponse> {
    let busy = container.init.busy.lock().await;
    container.init.allow(Verb::Delete)?;
    let is_over = container.init.exit().is_some() && container.leaves_root;
    if is_over {
        // All processes are gone: the one does not wait for the other.
        let (removed, unmounted) =
            tokio::join!(remove_by_runtime(container, surroundings), unmount(container));
        removed.and(unmounted)?;
    } else {
        remove_by_runtime(container, surroundings).await?;
    }
    drop(busy);
    if container.init.pid().is_some() {
        // Init of a container that was only created dies of the removal.
        let _ = tokio::time::timeout(DEATH, container.init.ended()).await;
    }
    close(&container.init).await;
    if !is_over {
        unmount(container).await?;
    }
    container.init.set_status(Status::Deleted);
    Ok(response(&container.init))
}

/// Lets the runtime remove the container; one that it does not know is removed already.
async fn remove_by_runtime(container: &Container, surroundings: &Surroundings) -> Result<()> {
    let force = container.init.exit().is_none();
    for attempt in 1.. {
        let verb = container.runtime.delete(&container.id, force);
        match command::run(&surroundings.reaper, &container.runtime, "delete", verb, None).await {
            Ok(()) => break,
            Err(error) if error.chain().contains("does not exist") => break,
            Err(error) if attempt == TRIES => return Err(error),
            Err(_) => tokio::time::sleep(PAUSE * attempt).await,
        }
    }
    Ok(())
}

async fn close(process: &Process) {
    if let Some(io) = process.take_io() {
        io.close(OUTPUT_ENDS).await;
    }
}

/// Unmounts on a thread of its own: writing back may take long, and others must be answered.
async fn unmount(container: &Container) -> Result<()> {
    let rootfs = container.bundle.rootfs();
    if !rootfs::is_mounted(&rootfs) {
        return Ok(());
    }
    let unmounted = tokio::task::spawn_blocking(move || rootfs::unmount(&rootfs)).await;
    unmounted.unwrap_or_else(|cause| Err(Error::internal("cannot unmount the root").with_source(cause)))
}

fn response(process: &Process) -> DeleteResponse {
    let exit: Option<Exit> = process.exit();
    DeleteResponse {
        pid: process.pid().unwrap_or_default() as u32,
        exit_status: exit.map_or(0, |exit| exit.status),
        exited_at: exit.map(|exit| timestamp(exit.at)),
    }
}
