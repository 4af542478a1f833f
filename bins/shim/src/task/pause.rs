//! Pause: the container's processes stand still.

use crate::command;
use crate::process::{Status, Verb};
use crate::service::Tasks;
use containerd_api::events::TaskPaused;
use containerd_api::task::v3::PauseRequest;
use errdefs::Result;
use std::sync::Arc;

/// Asks the runtime, then tells of it.
pub(crate) async fn pause(tasks: &Arc<Tasks>, request: PauseRequest) -> Result<()> {
    let container = tasks.container(&request.id)?;
    let _change = container.change.lock().await;
    container.init.allow(Verb::Pause)?;
    let verb = container.runtime.pause(&container.id);
    command::run(&tasks.surroundings.reaper, &container.runtime, "pause", verb, None).await?;
    container.init.set_status(Status::Paused);
    let event = TaskPaused { container_id: container.id.clone() };
    tasks.surroundings.events.publish("/tasks/paused", &event);
    Ok(())
}
