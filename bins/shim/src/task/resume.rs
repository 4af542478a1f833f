//! Resume: the container's processes go on.

use crate::command;
use crate::process::{Status, Verb};
use crate::service::Tasks;
use containerd_api::events::TaskResumed;
use containerd_api::task::v3::ResumeRequest;
use errdefs::Result;
use std::sync::Arc;

/// Asks the runtime, then tells of it.
pub(crate) async fn resume(tasks: &Arc<Tasks>, request: ResumeRequest) -> Result<()> {
    let container = tasks.container(&request.id)?;
    let _change = container.change.lock().await;
    container.init.allow(Verb::Resume)?;
    let verb = container.runtime.resume(&container.id);
    command::run(&tasks.surroundings.reaper, &container.runtime, "resume", verb, None).await?;
    container.init.set_status(Status::Running);
    let event = TaskResumed { container_id: container.id.clone() };
    tasks.surroundings.events.publish("/tasks/resumed", &event);
    Ok(())
}
