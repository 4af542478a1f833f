//! New limits and another restart policy, while it runs.

use std::sync::Arc;

use containerd_api::services::tasks::v1::UpdateTaskRequest;
use containerd_api::{RESOURCES_URL, pack_json};
use engine_api::host_config::{HostConfig, Resources, UpdateRequest, Updated};
use errdefs::{Error, Result};

use super::{Container, spec};
use crate::engine::Engine;
use crate::files::Promise;
use crate::supervisor::failed;

/// `POST /containers/{id}/update`: what is not named stays.
///
/// # Errors
/// A wish is malformed or contradicts another.
pub async fn update(
    engine: &Arc<Engine>,
    container: &Arc<Container>,
    wish: UpdateRequest,
) -> Result<Updated> {
    let _moving = container.moving.lock().await;
    let record = container.record();
    let mut host = record.host_config.clone();
    merge(&mut host.resources, &wish.resources);
    if !wish.restart_policy.name.is_empty() {
        host.restart_policy = wish.restart_policy.clone();
    }
    spec::refuse::unsupported(&engine_api::container::Config::default(), &HostConfig { ..host.clone() })?;
    let resources = spec::resources::limits(&host.resources)?;
    if record.state.phase.is_live() {
        let json = serde_json::to_vec(&resources)
            .map_err(|cause| Error::internal("cannot encode limits").with_source(cause))?;
        let request = UpdateTaskRequest {
            container_id: container.id.clone(),
            resources: Some(pack_json(RESOURCES_URL, json)),
            ..UpdateTaskRequest::default()
        };
        engine
            .supervisor
            .tasks()
            .update(request)
            .await
            .map_err(failed(format!("update container {}", container.id)))?;
    }
    container.try_update(Promise::Durable, |record| record.host_config = host)?;
    engine.tell_container("update", container, &[]);
    Ok(Updated { warnings: Some(Vec::new()) })
}

fn merge(kept: &mut Resources, wish: &Resources) {
    macro_rules! take {
        ($($field:ident),*) => { $(if !engine_api::is_default(&wish.$field) { kept.$field = wish.$field.clone(); })* };
    }
    take!(
        cpu_shares,
        memory,
        nano_cpus,
        blkio_weight,
        cpu_period,
        cpu_quota,
        cpu_realtime_period,
        cpu_realtime_runtime,
        cpuset_cpus,
        cpuset_mems,
        memory_reservation,
        memory_swap,
        pids_limit
    );
    // A quota replaces a number of CPUs and the other way round.
    if wish.nano_cpus != 0 {
        (kept.cpu_period, kept.cpu_quota) = (0, 0);
    } else if wish.cpu_quota != 0 || wish.cpu_period != 0 {
        kept.nano_cpus = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_named_stays() {
        let mut kept = Resources { memory: 64 << 20, nano_cpus: 5, ..Resources::default() };
        merge(&mut kept, &Resources { cpu_quota: 5000, ..Resources::default() });
        assert_eq!((kept.memory, kept.nano_cpus, kept.cpu_quota), (64 << 20, 0, 5000));
    }
}
