//! CreateSandbox: the sandbox as far as it goes without a process that runs.

use super::namespaces::Namespaces;
use super::{Sandbox, What};
use crate::bundle::Bundle;
use crate::container::Surroundings;
use crate::events::Events;
use crate::process::{Process, Stdio};
use crate::service::Tasks;
use crate::task;
use containerd_api::is;
use containerd_api::runc::v1::Options;
use containerd_api::runtime::sandbox::v1::{CreateSandboxRequest, CreateSandboxResponse};
use containerd_api::task::v3::CreateTaskRequest;
use errdefs::Result;
use std::sync::Arc;
use std::time::SystemTime;

/// On failure nothing is left.
pub(super) async fn create(
    tasks: &Arc<Tasks>,
    request: CreateSandboxRequest,
) -> Result<CreateSandboxResponse> {
    let claim = tasks.sandbox.claim(&request.sandbox_id)?;
    let bundle = Bundle::at(&request.bundle_path);
    let has_process = bundle.config()?.is_some_and(|config| config.has_process());
    let what = if has_process {
        if !request.netns_path.is_empty() {
            bundle.enter_network(&request.netns_path)?;
        }
        container(tasks, &request).await?
    } else {
        let process = Process::new("", Stdio::default(), Vec::new());
        What::Namespaces(Namespaces::of(&request)?, Arc::new(process))
    };
    let (change, created) = (tokio::sync::Mutex::new(()), SystemTime::now());
    claim.fill(Sandbox { id: request.sandbox_id, what, created, change });
    Ok(CreateSandboxResponse {})
}

/// A container that nobody is told of as a task.
async fn container(tasks: &Tasks, request: &CreateSandboxRequest) -> Result<What> {
    let request = CreateTaskRequest {
        id: request.sandbox_id.clone(),
        bundle: request.bundle_path.clone(),
        rootfs: request.rootfs.clone(),
        // What else it may be is said for whoever makes a spec of it.
        options: request.options.clone().filter(is::<Options>),
        ..Default::default()
    };
    let surroundings = quiet(&tasks.surroundings);
    let container = task::prepare(&request, &surroundings.namespace)?;
    let busy = container.init.busy.lock().await;
    task::make(&container, &request.rootfs, &surroundings).await?;
    drop(busy);
    Ok(What::Container(container))
}

/// The same surroundings, in which no events are told.
pub(super) fn quiet(surroundings: &Surroundings) -> Surroundings {
    let Surroundings { namespace, reaper, .. } = surroundings.clone();
    Surroundings { events: Events::untold(&namespace), namespace, reaper }
}
