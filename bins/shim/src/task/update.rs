//! Update: new limits for a container.

use crate::command;
use crate::process::Verb;
use crate::service::Tasks;
use containerd_api::task::v3::UpdateTaskRequest;
use errdefs::{Error, Result};
use std::sync::Arc;

/// Hands the resources (JSON) to the runtime.
pub(crate) async fn update(tasks: &Arc<Tasks>, request: UpdateTaskRequest) -> Result<()> {
    let container = tasks.container(&request.id)?;
    let resources = request.resources.ok_or_else(|| Error::invalid_argument("resources cannot be empty"))?;
    if resources.type_url.rsplit('/').next() != Some("LinuxResources") {
        let text = format!("cannot read resources of type {:?}", resources.type_url);
        return Err(Error::invalid_argument(text));
    }
    let _change = container.change.lock().await;
    container.init.allow(Verb::Update)?;
    let (reaper, verb) = (&tasks.surroundings.reaper, container.runtime.update(&container.id));
    command::run_with_input(reaper, &container.runtime, "update", verb, resources.value).await
}
