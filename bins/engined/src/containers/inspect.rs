//! Everything about one container.

use std::collections::BTreeMap;

use engine_api::container::{GraphDriver, Inspect, NetworkSettings, State as Shown};
use engine_api::host_config::HostConfig;
use engine_api::mount::MountPoint;
use errdefs::Result;

use super::{Container, MountRecord, Phase, Record, Source};
use crate::engine::Engine;

/// `GET /containers/{id}/json`.
///
/// # Errors
/// The sizes are asked for and the snapshot is gone.
pub async fn inspect(engine: &Engine, container: &Container, with_size: bool) -> Result<Inspect> {
    let record = container.record();
    let file = |name: &str| container.file(name).to_string_lossy().into_owned();
    let sizes = if with_size { Some(size(engine, container).await?) } else { None };
    let has_log = record.host_config.log_config.kind == "json-file";
    let exec_ids = container.live().execs.clone();
    Ok(Inspect {
        id: record.id.clone(),
        created: record.created.rfc3339(),
        path: record.path.clone(),
        args: record.args.clone(),
        state: state(&record),
        image: record.image_id.clone(),
        image_manifest_descriptor: record.shown_manifest(),
        resolv_conf_path: file("resolv.conf"),
        hostname_path: file("hostname"),
        hosts_path: file("hosts"),
        log_path: if has_log {
            super::logs::path(container).to_string_lossy().into_owned()
        } else {
            String::new()
        },
        name: format!("/{}", record.name),
        restart_count: record.restart_count,
        driver: "overlay2".into(),
        platform: "linux".into(),
        exec_ids: (!exec_ids.is_empty()).then_some(exec_ids),
        host_config: HostConfig { links: super::links::shown(engine, &record), ..record.host_config.clone() },
        graph_driver: GraphDriver { name: "overlay2".into(), data: layers(engine, container).await },
        size_rw: sizes.map(|(own, _)| own),
        size_root_fs: sizes.map(|(_, all)| all),
        mounts: record.mounts.iter().filter_map(|mount| mount_point(engine, mount)).collect(),
        config: record.config.clone(),
        network_settings: network_settings(engine, &record),
        ..Inspect::default()
    })
}

/// Docker's state.
pub fn state(record: &Record) -> Shown {
    let state = &record.state;
    Shown {
        status: state.phase.word().into(),
        // A container between two starts counts as running, and so does a frozen one.
        running: matches!(state.phase, Phase::Running | Phase::Paused | Phase::Restarting),
        paused: state.phase == Phase::Paused,
        restarting: state.phase == Phase::Restarting,
        oom_killed: state.oom_killed,
        dead: state.phase == Phase::Dead,
        pid: i64::from(state.pid),
        exit_code: state.exit_code,
        error: state.error.clone(),
        started_at: state.started.rfc3339(),
        finished_at: state.finished.rfc3339(),
        health: state.health.as_ref().map(super::health::Health::shown),
    }
}

/// Where the layers of a container's root are, as far as the snapshotter says it by paths.
async fn layers(engine: &Engine, container: &Container) -> Option<BTreeMap<String, String>> {
    let mounts = super::rootfs::mounts(engine, container).await.ok()?;
    let mount = mounts.first()?;
    let option =
        |name: &str| mount.options.iter().find_map(|option| option.strip_prefix(name)?.strip_prefix('='));
    let mut data: BTreeMap<String, String> =
        [("LowerDir", "lowerdir"), ("UpperDir", "upperdir"), ("WorkDir", "workdir")]
            .into_iter()
            .filter_map(|(shown, name)| Some((shown.to_owned(), option(name)?.to_owned())))
            .collect();
    let pid = container.record().state.pid;
    if pid != 0 {
        data.insert("MergedDir".to_owned(), format!("/proc/{pid}/root"));
    }
    (!data.is_empty()).then_some(data)
}

/// A mount as Docker shows it; tmpfs of `--tmpfs` is shown in HostConfig only.
pub fn mount_point(engine: &Engine, mount: &MountRecord) -> Option<MountPoint> {
    let mut point = MountPoint {
        destination: mount.destination.clone(),
        mode: mount.mode.clone(),
        rw: !mount.is_read_only,
        propagation: mount.propagation.clone(),
        ..MountPoint::default()
    };
    match &mount.source {
        Source::Bind { path } => {
            point.kind = "bind".into();
            point.source.clone_from(path);
        }
        Source::Volume { name, .. } => {
            point.kind = "volume".into();
            point.name.clone_from(name);
            (point.driver, point.source) = engine.volumes.place(name);
        }
        Source::Image { name, .. } => {
            point.kind = "image".into();
            point.name.clone_from(name);
        }
        Source::Tmpfs { .. } if mount.is_wish => point.kind = "tmpfs".into(),
        Source::Tmpfs { .. } => return None,
    }
    Some(point)
}

fn network_settings(engine: &Engine, record: &Record) -> NetworkSettings {
    let networks = crate::networks::endpoints(engine, record);
    // Old clients look for the default bridge's here.
    let first = networks.get("bridge").cloned().unwrap_or_default();
    NetworkSettings {
        sandbox_id: if record.netns.is_empty() { String::new() } else { record.id.clone() },
        sandbox_key: record.netns.clone(),
        ports: crate::networks::ports::shown(record),
        endpoint_id: first.endpoint_id,
        gateway: first.gateway,
        ip_address: first.ip_address,
        ip_prefix_len: first.ip_prefix_len,
        mac_address: first.mac_address,
        networks,
        ..NetworkSettings::default()
    }
}

/// Bytes of the writable layer, and of all layers.
///
/// # Errors
/// The snapshot is gone.
pub async fn size(engine: &Engine, container: &Container) -> Result<(i64, i64)> {
    let record = container.record();
    let own = crate::images::usage(engine, &container.id).await?;
    let below = engine.images.size_of_chain(engine, &record.chain_id).await?;
    Ok((own, own + below))
}
