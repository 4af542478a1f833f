//! New limits and another restart policy, while it runs.

use std::sync::Arc;

use containerd_api::services::tasks::v1::UpdateTaskRequest;
use containerd_api::{RESOURCES_URL, pack_json};
use engine_api::host_config::{Resources, UpdateRequest, Updated};
use errdefs::{Error, Result};

use super::{Container, Phase, spec};
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
    if matches!(record.state.phase, Phase::Removing | Phase::Dead) {
        return Err(Error::failed_precondition("container is marked for removal and cannot be \"update\""));
    }
    let mut host = record.host_config.clone();
    if !wish.restart_policy.name.is_empty() {
        if host.auto_remove {
            return Err(Error::failed_precondition(
                "Restart policy cannot be updated because AutoRemove is enabled for the container",
            ));
        }
        host.restart_policy = wish.restart_policy.clone();
    }
    contradictions(&host.resources, &wish.resources)?;
    merge(&mut host.resources, &wish.resources);
    spec::refuse::unsupported(&host)?;
    let warnings = spec::discard::of_resources(&mut host.resources, spec::kernel::Kernel::of_host())?;
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
    Ok(Updated { warnings: Some(warnings) })
}

/// What is asked for must fit what stands.
fn contradictions(kept: &Resources, wish: &Resources) -> Result<()> {
    let refuse = |text: &str| Err(Error::failed_precondition(text));
    if wish.nano_cpus > 0 && kept.cpu_period > 0 {
        return refuse("Conflicting options: Nano CPUs cannot be updated as CPU Period has already been set");
    }
    if wish.nano_cpus > 0 && kept.cpu_quota > 0 {
        return refuse("Conflicting options: Nano CPUs cannot be updated as CPU Quota has already been set");
    }
    if wish.cpu_period > 0 && kept.nano_cpus > 0 {
        return refuse("Conflicting options: CPU Period cannot be updated as NanoCPUs has already been set");
    }
    if wish.cpu_quota > 0 && kept.nano_cpus > 0 {
        return refuse("Conflicting options: CPU Quota cannot be updated as NanoCPUs has already been set");
    }
    // A limit of memory alone allows as much swap again.
    let total = if kept.memory_swap == 0 { kept.memory.saturating_mul(2) } else { kept.memory_swap };
    if wish.memory != 0 && wish.memory_swap == 0 && total > 0 && wish.memory > total {
        return refuse(
            "Memory limit should be smaller than already set memoryswap limit, update the memoryswap at the same time",
        );
    }
    Ok(())
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
    // An empty list takes away what stands.
    macro_rules! take_list {
        ($($field:ident),*) => { $(if wish.$field.is_some() { kept.$field = wish.$field.clone(); })* };
    }
    take_list!(
        blkio_weight_device,
        blkio_device_read_bps,
        blkio_device_write_bps,
        blkio_device_read_iops,
        blkio_device_write_iops
    );
}

#[cfg(test)]
mod tests {
    use super::*;
    use engine_api::host_config::ThrottleDevice;

    #[test]
    fn what_is_not_named_stays() {
        let mut kept = Resources { memory: 64 << 20, ..Resources::default() };
        merge(&mut kept, &Resources { cpu_quota: 5000, ..Resources::default() });
        assert_eq!((kept.memory, kept.cpu_quota), (64 << 20, 5000));
        let rate = ThrottleDevice { path: "/dev/vda".into(), rate: 7 };
        let limited = Resources { blkio_device_read_bps: Some(vec![rate]), ..Resources::default() };
        merge(&mut kept, &limited);
        merge(&mut kept, &Resources::default());
        assert_eq!(kept.blkio_device_read_bps, limited.blkio_device_read_bps);
        merge(&mut kept, &Resources { blkio_device_read_bps: Some(Vec::new()), ..Resources::default() });
        assert_eq!(kept.blkio_device_read_bps, Some(Vec::new()));
    }

    #[test]
    fn what_contradicts_what_stands_is_refused() {
        let kept = Resources { memory: 64 << 20, nano_cpus: 5, ..Resources::default() };
        for wish in [
            Resources { cpu_quota: 5000, ..Resources::default() },
            Resources { memory: 256 << 20, ..Resources::default() },
        ] {
            assert!(contradictions(&kept, &wish).is_err(), "{wish:?}");
        }
        let both = Resources { memory: 256 << 20, memory_swap: 512 << 20, ..Resources::default() };
        assert!(contradictions(&kept, &both).is_ok());
    }
}
