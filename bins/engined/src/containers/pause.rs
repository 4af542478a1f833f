//! Freezing and thawing.

use std::sync::Arc;

use containerd_api::services::tasks::v1::{GetRequest, PauseTaskRequest, ResumeTaskRequest};
use containerd_api::v1::types::Status;
use errdefs::{Error, Result};

use super::{Container, Phase};
use crate::engine::Engine;
use crate::supervisor::failed;

/// Freezes all processes of a container.
///
/// # Errors
/// It does not run, or is frozen already.
pub async fn pause(engine: &Arc<Engine>, container: &Arc<Container>) -> Result<()> {
    let _moving = container.moving.lock().await;
    match container.record().state.phase {
        Phase::Running => {}
        Phase::Paused => {
            return Err(Error::failed_precondition(format!("container {} is already paused", container.id)));
        }
        Phase::Restarting => {
            return Err(Error::failed_precondition(format!(
                "container {} is restarting, wait until the container is running",
                container.id
            )));
        }
        _ => return Err(Error::failed_precondition(format!("container {} is not running", container.id))),
    }
    let request = PauseTaskRequest { container_id: container.id.clone() };
    engine
        .supervisor
        .tasks()
        .pause(request)
        .await
        .map_err(failed(format!("pause container {}", container.id)))?;
    container.update(|record| record.state.phase = Phase::Paused);
    engine.tell_container("pause", container, &[]);
    Ok(())
}

/// Freezes a container that runs; says whether it did. One that ends meanwhile changes nothing any more.
///
/// # Errors
/// It runs and cannot be frozen.
pub async fn unless_ended(engine: &Arc<Engine>, container: &Arc<Container>) -> Result<bool> {
    if container.record().state.phase != Phase::Running {
        return Ok(false);
    }
    match pause(engine, container).await {
        Ok(()) => Ok(true),
        Err(_) if has_ended(engine, container).await => Ok(false),
        Err(error) => Err(error),
    }
}

/// Thaws what [`unless_ended`] froze.
///
/// # Errors
/// It is frozen and cannot be thawed.
pub async fn unpause_unless_ended(engine: &Arc<Engine>, container: &Arc<Container>) -> Result<()> {
    match unpause(engine, container).await {
        Err(error) if container.record().state.phase == Phase::Paused => Err(error),
        _ => Ok(()),
    }
}

/// Whether its process has ended, be it told already or not.
async fn has_ended(engine: &Engine, container: &Container) -> bool {
    if !container.record().state.phase.is_live() {
        return true;
    }
    let request = GetRequest { container_id: container.id.clone(), ..GetRequest::default() };
    match engine.supervisor.tasks().get(request).await {
        Ok(answer) => answer.into_inner().process.is_some_and(|task| task.status() == Status::Stopped),
        Err(status) => status.code() == tonic::Code::NotFound,
    }
}

/// Thaws them.
///
/// # Errors
/// It is not frozen.
pub async fn unpause(engine: &Arc<Engine>, container: &Arc<Container>) -> Result<()> {
    let _moving = container.moving.lock().await;
    if container.record().state.phase != Phase::Paused {
        return Err(Error::failed_precondition(format!("container {} is not paused", container.id)));
    }
    let request = ResumeTaskRequest { container_id: container.id.clone() };
    engine
        .supervisor
        .tasks()
        .resume(request)
        .await
        .map_err(failed(format!("unpause container {}", container.id)))?;
    container.update(|record| record.state.phase = Phase::Running);
    engine.tell_container("unpause", container, &[]);
    Ok(())
}
