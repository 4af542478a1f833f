//! Freezing and thawing.

use std::sync::Arc;

use containerd_api::services::tasks::v1::{PauseTaskRequest, ResumeTaskRequest};
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
