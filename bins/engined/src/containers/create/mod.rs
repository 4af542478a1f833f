//! Creating: wishes checked and completed, mounts planned, a snapshot prepared, a record kept.

mod merge;
mod mounts;

pub use merge::complete;
pub use mounts::clean;

use std::sync::Arc;
use std::time::Instant;

use containerd_api::services::snapshots::v1::PrepareSnapshotRequest;
use engine_api::container::{Config, CreateRequest, Created};
use engine_api::host_config::HostConfig;
use errdefs::{Error, Kind, Result};
use rustix::fs::{Mode, OFlags};

use super::spec::kernel::Kernel;
use super::versions::Old;
use super::{Record, spec};
use crate::engine::Engine;
use crate::files::{Promise, failed};
use crate::identity;
use crate::images::Image;
use crate::metrics::Action;
use crate::remap::Remap;
use crate::supervisor;
use crate::time::Time;

const NAME_TRIES: u32 = 20;

/// Creates a container.
///
/// # Errors
/// The image is not there, the name is taken, or a wish cannot be granted.
pub async fn create(engine: &Arc<Engine>, name: &str, request: CreateRequest, old: Old) -> Result<Created> {
    let at = Instant::now();
    let CreateRequest { host_config, networking_config, mut config } = request;
    let mut host = host_config.unwrap_or_default();
    if config.network_disabled {
        host.network_mode = "none".into();
    }
    spec::refuse::unsupported(&host)?;
    if config.image.is_empty() {
        return Err(Error::invalid_argument("no image specified"));
    }
    crate::networks::conflicts(&config, &host)?;
    let image = engine.images.find(engine, &config.image).await?;
    complete(&mut config, &image.config)?;
    complete_host(engine, &mut host)?;
    engine.config.flags.cgroup_driver().check_parent(&host.resources.cgroup_parent)?;
    let remap = engine.remap.clone().filter(|_| host.userns_mode.is_empty());
    if remap.is_some() {
        spec::refuse::not_remapped(&host)?;
    }
    let warnings = spec::discard::discard(&mut host, Kernel::of_host())?;
    let links = super::links::plan(engine, &host)?;
    let words = command(&config)?;
    let id = identity::new_id();
    if config.hostname.is_empty() {
        config.hostname = match host.network_mode.as_str() {
            "host" => rustix::system::uname().nodename().to_string_lossy().into_owned(),
            mode => match Record::joined(mode) {
                // Told as a wrong wish: to a client, "not found" would mean the image.
                Some(other) => engine
                    .containers
                    .find(other)
                    .map_err(|cause| Error::invalid_argument(cause.to_string()))?
                    .record()
                    .config
                    .hostname
                    .clone(),
                None => identity::short(&id).to_owned(),
            },
        };
    }
    let networks = networking_config.and_then(|wishes| wishes.endpoints_config).unwrap_or_default();
    // Told as a wrong wish: to a client, "not found" would mean the image.
    let networks = crate::networks::check(engine, &config, &mut host, networks).map_err(|cause| {
        if cause.kind() == Kind::NotFound { Error::invalid_argument(cause.to_string()) } else { cause }
    })?;
    super::start::runtime_of(engine, &host.runtime)?;
    spec::SecurityOptions::parse(&Record { host_config: host.clone(), ..Record::default() })?;
    spec::resources::limits(&host.resources)?;
    let capabilities = super::plan::all_capabilities();
    spec::capabilities::of(
        host.cap_add.as_deref().map_or(&[], Vec::as_slice),
        host.cap_drop.as_deref().map_or(&[], Vec::as_slice),
        &capabilities,
    )?;
    let planned = mounts::plan(engine, &config, &host, old).await?;
    let record = Record {
        id: id.clone(),
        created: Time::now(),
        image_id: image.id.clone(),
        image_name: image.name.clone(),
        image_manifest: image.descriptor.clone(),
        chain_id: image.chain_id.clone(),
        path: words.first().cloned().unwrap_or_default(),
        args: words.get(1..).unwrap_or_default().to_vec(),
        config,
        host_config: host,
        networks,
        links,
        mounts: planned,
        remap,
        ..Record::default()
    };
    let name = reserve_name(engine, name, &id)?;
    let kept = keep(engine, Record { name: name.clone(), ..record }, &image).await;
    if kept.is_err() {
        engine.containers.release(&name);
        let _ = std::fs::remove_dir_all(engine.containers.directory_of(&id));
    }
    kept?;
    engine.metrics.did(Action::Create, at);
    Ok(Created { id, warnings })
}

fn reserve_name(engine: &Engine, asked: &str, id: &str) -> Result<String> {
    let asked = asked.strip_prefix('/').unwrap_or(asked);
    if !asked.is_empty() {
        if !identity::is_name(asked) {
            return Err(Error::invalid_argument(format!(
                "Invalid container name ({asked}), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed"
            )));
        }
        engine.containers.reserve(asked, id)?;
        return Ok(asked.to_owned());
    }
    for attempt in 0..NAME_TRIES {
        let name = identity::random_name(attempt);
        if engine.containers.reserve(&name, id).is_ok() {
            return Ok(name);
        }
    }
    let name = identity::short(id).to_owned();
    engine.containers.reserve(&name, id)?;
    Ok(name)
}

/// The words that run: entry point, then command.
fn command(config: &Config) -> Result<Vec<String>> {
    let words: Vec<String> =
        config.entrypoint.iter().chain(&config.cmd).flat_map(|words| words.iter().cloned()).collect();
    match words.first() {
        None => Err(Error::invalid_argument("no command specified")),
        Some(first) if first.is_empty() && words.len() == 1 => {
            Err(Error::invalid_argument("no command specified"))
        }
        Some(_) => Ok(words),
    }
}

/// The engine's defaults.
fn complete_host(engine: &Engine, host: &mut HostConfig) -> Result<()> {
    let flags = &engine.config.flags;
    if matches!(host.network_mode.as_str(), "" | "default") {
        host.network_mode = "bridge".into();
    }
    if host.ipc_mode.is_empty() {
        host.ipc_mode.clone_from(&flags.default_ipc_mode);
    }
    if host.cgroupns_mode.is_empty() {
        host.cgroupns_mode =
            if host.privileged { "host".into() } else { flags.default_cgroupns_mode.clone() };
    }
    if host.restart_policy.name.is_empty() {
        host.restart_policy.name = "no".into();
    }
    if host.shm_size == 0 && matches!(host.ipc_mode.as_str(), "private" | "shareable") {
        host.shm_size = flags.default_shm_size.unwrap_or(64 << 20);
    }
    if !Kernel::of_host().is_unified {
        // Said where it can be said.
        host.resources.oom_kill_disable.get_or_insert(false);
    }
    if host.shm_size < 0 {
        return Err(Error::invalid_argument("SHM size can not be less than 0"));
    }
    if host.init.is_none() && flags.init == Some(true) {
        host.init = Some(true);
    }
    if host.runtime.is_empty() {
        host.runtime.clone_from(&engine.settings().default_runtime);
    }
    // Docker writes the lists out, and clients print them.
    if !host.privileged {
        let shown = spec::default_paths();
        host.masked_paths.get_or_insert(shown.0);
        host.readonly_paths.get_or_insert(shown.1);
    }
    let log = &mut host.log_config;
    if log.kind.is_empty() {
        log.kind.clone_from(&flags.log_driver);
    }
    // The engine's options are for the engine's driver.
    if log.kind == flags.log_driver {
        for (key, value) in &engine.config.log_options {
            log.config.entry(key.clone()).or_insert_with(|| value.clone());
        }
    }
    super::logging::check(log)
}

/// Directory, snapshot, copies of image content, record: after this the container exists.
async fn keep(engine: &Arc<Engine>, mut record: Record, image: &Image) -> Result<()> {
    let directory = engine.containers.directory_of(&record.id);
    std::fs::create_dir_all(&directory).map_err(failed("make directory", &directory))?;
    let mounts = prepare(engine, &record, image).await?;
    let maps_ids = mounts.iter().any(|mount| mount.options.iter().any(|word| word.starts_with("uidmap=")));
    if record.remap.is_some() && !maps_ids {
        supervisor_forget(engine, &record.id).await;
        return Err(Error::failed_precondition(format!(
            "cannot remap the ids of a container: snapshotter {} does not map them",
            engine.supervisor.snapshotter
        ))
        .with_hint(
            "Use supervisord, or containerd 2.0 or newer; or start the container with --userns=host.",
        ));
    }
    mark(&mounts, record.remap.as_ref());
    let mut filled = super::sources::view_images(engine, &mut record).await;
    if filled.is_ok() {
        filled = crate::volumes::copy_up(engine, &record, image).await;
    }
    if let Err(error) = filled {
        let _ = super::sources::forget_images(engine, &record).await;
        supervisor_forget(engine, &record.id).await;
        return Err(error);
    }
    // A container that goes with its process is promised to nobody.
    let promise = if record.host_config.auto_remove { Promise::Process } else { Promise::Durable };
    let container = engine.containers.add(record, promise)?;
    container.live().rootfs = Some(mounts);
    engine.tell_container("create", &container, &[]);
    Ok(())
}

/// The writable layer on top of the image's.
async fn prepare(
    engine: &Arc<Engine>,
    record: &Record,
    image: &Image,
) -> Result<Vec<containerd_api::types::Mount>> {
    let request = PrepareSnapshotRequest {
        snapshotter: engine.supervisor.snapshotter.clone(),
        key: record.id.clone(),
        parent: record.chain_id.clone(),
        // Nobody but the engine ends it: not even a collector that does not see its record yet.
        labels: std::iter::once(("containerd.io/gc.root".to_owned(), Time::now().rfc3339()))
            .chain(record.remap.iter().flat_map(Remap::labels))
            .collect(),
    };
    let mut snapshots = engine.supervisor.snapshots();
    let answer = match snapshots.prepare(request.clone()).await {
        Err(status) if status.code() == tonic::Code::NotFound => {
            // Pulled or imported by somebody who did not unpack it.
            crate::images::unpack(engine, image).await?;
            snapshots.prepare(request).await
        }
        other => other,
    };
    let answer = answer
        .map_err(supervisor::failed(format!("prepare the root of a container from image {}", image.name)))?;
    Ok(answer.into_inner().mounts)
}

/// By this file programs see that they are in a container.
const MARK: &str = ".dockerenv";

/// Puts it into the writable layer; a container without one can do without it.
fn mark(mounts: &[containerd_api::types::Mount], remap: Option<&Remap>) {
    let layer = mounts.iter().find_map(|mount| {
        let upper = mount.options.iter().find_map(|option| option.strip_prefix("upperdir="));
        upper.or((mount.r#type == "bind").then_some(mount.source.as_str()))
    });
    if let Some(layer) = layer {
        let flags = OFlags::CREATE | OFlags::WRONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let made = rustix::fs::open(format!("{layer}/{MARK}"), flags, Mode::from_raw_mode(0o755));
        if let (Ok(file), Some((uid, gid))) = (made, remap.map(Remap::root)) {
            let _ = std::os::unix::fs::fchown(file, Some(uid), Some(gid));
        }
    }
}

async fn supervisor_forget(engine: &Engine, id: &str) {
    let request = containerd_api::services::snapshots::v1::RemoveSnapshotRequest {
        snapshotter: engine.supervisor.snapshotter.clone(),
        key: id.to_owned(),
    };
    if let Err(status) = engine.supervisor.snapshots().remove(request).await {
        tracing::warn!(container = id, %status, "cannot remove the snapshot of a container that was not created");
    }
}
