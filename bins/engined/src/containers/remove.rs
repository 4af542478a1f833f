//! Removing a container and everything that was made for it.

use std::sync::Arc;
use std::time::Instant;

use containerd_api::services::containers::v1::DeleteContainerRequest;
use containerd_api::services::snapshots::v1::RemoveSnapshotRequest;
use errdefs::{Error, Result};

use super::{Container, Phase, stop};
use crate::engine::Engine;
use crate::metrics::Action;
use crate::supervisor;

/// How to remove.
#[derive(Clone, Copy, Default)]
pub struct Options {
    /// Kill it first if it runs.
    pub is_forced: bool,
    /// Its anonymous volumes go with it.
    pub with_volumes: bool,
}

/// Removes a container on somebody's behalf.
///
/// # Errors
/// It runs and nobody forces it, or a part of it cannot be removed; then it stays, and removing
/// may be tried again.
pub async fn remove(engine: &Arc<Engine>, container: &Arc<Container>, options: Options) -> Result<()> {
    let record = container.record();
    let phase = record.state.phase;
    if phase == Phase::Removing {
        return Err(Error::failed_precondition(format!(
            "removal of container {} is already in progress",
            record.name
        )));
    }
    let refuse = |text: &str| {
        Err(Error::failed_precondition(format!("cannot remove container \"/{}\": {text}", record.name)))
    };
    match phase {
        Phase::Paused if !options.is_forced => {
            return refuse("container is paused and must be unpaused first");
        }
        Phase::Running if !options.is_forced => {
            return refuse("container is running: stop the container before removing or force remove");
        }
        Phase::Restarting if !options.is_forced => {
            return refuse("container is restarting: stop the container before removing or force remove");
        }
        Phase::Restarting => drop(stop::stop(engine, container, None, None).await?),
        Phase::Running | Phase::Paused => {
            let before = container.progress.borrow().exits;
            // An auto-removed container may be gone before the kill is through.
            let killed = stop::kill_and_wait(engine, container, before).await;
            if container.progress.borrow().is_removed {
                return Ok(());
            }
            killed?;
        }
        _ => {}
    }
    let _moving = container.moving.lock().await;
    if container.progress.borrow().is_removed || container.record().state.phase == Phase::Removing {
        return Ok(());
    }
    if container.record().state.phase.is_live() {
        return refuse("container is running: stop the container before removing or force remove");
    }
    take_apart(engine, container, options.with_volumes).await
}

/// Removes an `--rm` container after its end, with its anonymous volumes.
pub async fn automatically(engine: &Arc<Engine>, container: &Arc<Container>) {
    let _moving = container.moving.lock().await;
    let phase = container.record().state.phase;
    if phase.is_live() || phase == Phase::Removing {
        return;
    }
    if let Err(error) = take_apart(engine, container, true).await {
        tracing::error!(container = %container.id, error = %error.chain(), "cannot remove a container automatically");
    }
}

async fn take_apart(engine: &Arc<Engine>, container: &Arc<Container>, with_volumes: bool) -> Result<()> {
    let at = Instant::now();
    let before = container.record().state.phase;
    container.update(|record| record.state.phase = Phase::Removing);
    let removed = from_supervisor(engine, &container.id).await;
    let removed = match removed {
        Ok(()) => super::sources::forget_images(engine, &container.record()).await,
        failed => failed,
    };
    let removed = removed.and_then(|()| match std::fs::remove_dir_all(container.directory()) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(crate::files::failed("remove", container.directory())(error))
        }
        _ => Ok(()),
    });
    if let Err(error) = removed {
        container.update(|record| record.state.phase = before);
        return Err(error);
    }
    crate::networks::disconnect(engine, container).await;
    crate::networks::forget(engine, &container.id);
    super::plan::drop_shm(engine, &container.id);
    if with_volumes {
        crate::volumes::of_container(engine, container).await;
    }
    container.live().waiting.clear();
    engine.containers.remove(&container.id);
    engine.tell_container("destroy", container, &[]);
    engine.metrics.did(Action::Delete, at);
    container.progress.send_modify(|progress| {
        progress.is_running = false;
        progress.is_removed = true;
    });
    Ok(())
}

/// Removes what a killed engine left of a container without a record: first what only its directory tells of.
///
/// # Errors
/// The supervisor has something of it still; the directory stays, and the next start tries again.
pub async fn cut_short(engine: &Engine, id: &str) -> Result<()> {
    from_supervisor(engine, id).await?;
    super::sources::forget_images_of(engine, id).await?;
    super::plan::drop_shm(engine, id);
    crate::networks::forget(engine, id);
    let directory = engine.containers.directory_of(id);
    std::fs::remove_dir_all(&directory).map_err(crate::files::failed("remove", &directory))
}

/// Its record and its snapshot; absent is removed.
async fn from_supervisor(engine: &Engine, id: &str) -> Result<()> {
    let mut containers = engine.supervisor.containers();
    let mut snapshots = engine.supervisor.snapshots();
    let snapshot =
        RemoveSnapshotRequest { snapshotter: engine.supervisor.snapshotter.clone(), key: id.to_owned() };
    let (record, snapshot) = tokio::join!(
        containers.delete(DeleteContainerRequest { id: id.to_owned() }),
        snapshots.remove(snapshot),
    );
    supervisor::optional(record, "remove the record of a container")?;
    supervisor::optional(snapshot, "remove the snapshot of a container")?;
    Ok(())
}
