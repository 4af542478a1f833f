//! Starting: files, network, task, attached readers, go.

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use containerd_api::runc::v1::Options;
use containerd_api::services::containers::v1::{
    Container as TaskRecord, CreateContainerRequest, UpdateContainerRequest, container,
};
use containerd_api::services::tasks::v1::{CreateTaskRequest, DeleteTaskRequest, StartRequest};
use containerd_api::{FieldMask, SPEC_URL, pack, pack_json};
use errdefs::{Error, Result};
use sha2::{Digest, Sha256};

pub use super::failure::exit_code;
use super::failure::runtime_failure;
use super::stdio::{LogTarget, Output, Stdin};
use super::steps::{Steps, timed};
use super::{Container, Phase, rootfs};
use crate::config::{CgroupDriver, Runtime};
use crate::engine::Engine;
use crate::files::failed;
use crate::metrics::Action;
use crate::supervisor;
use crate::time::Time;

/// What a start found.
#[derive(Debug, PartialEq, Eq)]
pub enum Outcome {
    Started,
    WasRunning,
}

/// Starts a container on somebody's behalf.
///
/// # Errors
/// It is in a phase that does not start, or the runtime says why it cannot.
pub async fn start(engine: &Arc<Engine>, container: &Arc<Container>) -> Result<Outcome> {
    let _moving = container.moving.lock().await;
    match container.record().state.phase {
        Phase::Running => return Ok(Outcome::WasRunning),
        Phase::Paused => {
            return Err(Error::failed_precondition("cannot start a paused container, try unpause instead"));
        }
        Phase::Removing | Phase::Dead => {
            return Err(Error::failed_precondition("container is marked for removal and cannot be started"));
        }
        Phase::Created | Phase::Exited | Phase::Restarting => {}
    }
    container.live().restart.take();
    container.update(|record| {
        record.is_stopped_by_hand = false;
        record.restart_count = 0;
    });
    match begin(engine, container).await {
        Ok(()) => Ok(Outcome::Started),
        Err(error) => {
            if container.record().host_config.auto_remove {
                let (engine, container) = (engine.clone(), container.clone());
                tokio::spawn(async move { super::remove::automatically(&engine, &container).await });
            }
            Err(error)
        }
    }
}

/// Starts a container whose lock is held; a failure is recorded and taken back.
///
/// # Errors
/// As [`start`].
pub async fn begin(engine: &Arc<Engine>, container: &Arc<Container>) -> Result<()> {
    let at = Instant::now();
    let begun = launch(engine, container).await;
    if begun.is_ok() {
        engine.metrics.did(Action::Start, at);
    }
    if let Err(error) = &begun {
        take_back(engine, container).await;
        let code = exit_code(&error.chain());
        container.update(|record| {
            record.state.phase = if record.has_started { Phase::Exited } else { Phase::Created };
            record.state.exit_code = code;
            record.state.error = error.chain();
            record.state.finished = Time::now();
        });
        container.progress.send_modify(|progress| {
            progress.is_running = false;
            progress.exits += 1;
            progress.exit_code = code;
        });
    }
    begun
}

async fn launch(engine: &Arc<Engine>, container: &Arc<Container>) -> Result<()> {
    {
        let mut live = container.live();
        live.is_stopping = false;
        live.execs.clear();
    }
    let record = container.record();
    let mut steps = Steps::new();
    let (spec, held) = super::spec_for(engine, container, &record).await?;
    steps.done("spec");
    let spec = serde_json::to_vec(&spec)
        .map_err(|cause| Error::internal("cannot encode the runtime spec").with_source(cause))?;
    let (prepared, kept, mounts) = tokio::join!(
        crate::networks::prepare(engine, container),
        keep_record(engine, container, spec),
        rootfs::mounts(engine, container),
    );
    prepared?;
    kept?;
    let mut mounts = mounts?;
    if record.host_config.auto_remove {
        forget_on_power_cut(&mut mounts);
    }
    let request = task_request(engine, container, mounts)?;
    steps.done("namespace and record");
    // The namespace is all that the task needs; its links are there before anything runs.
    let network = timed("network", crate::networks::connect(engine, container));
    let create = timed("task", create_task(engine, &container.id, request));
    let created = if has_link_settings(&record) {
        network.await?;
        create.await
    } else {
        let (network, created) = tokio::join!(network, create);
        network?;
        created
    };
    // The runtime has mounted what it was shown.
    drop(held);
    created.map_err(runtime_failure)?;
    super::links::introduce(engine, container)?;
    crate::volumes::tell_mounted(engine, &record);
    steps.done("network and task create");
    let mut tasks = engine.supervisor.tasks();
    serve_waiting(container).await;
    let started =
        tasks.start(StartRequest { container_id: container.id.clone(), exec_id: String::new() }).await;
    let pid = started.map_err(runtime_failure)?.into_inner().pid;
    steps.done("task start");
    steps.tell(&container.id);
    container.update(|record| {
        record.has_started = true;
        record.state.phase = Phase::Running;
        record.state.pid = pid;
        record.state.exit_code = 0;
        record.state.error.clear();
        record.state.oom_killed = false;
        record.state.started = Time::now();
    });
    container.progress.send_modify(|progress| {
        progress.is_running = true;
        progress.starts += 1;
    });
    engine.tell_container("start", container, &[]);
    super::health::begin(engine, container);
    Ok(())
}

/// Whether sysctls name a link, which then has to be there when the runtime writes them.
fn has_link_settings(record: &super::Record) -> bool {
    record.host_config.sysctls.keys().any(|name| name.starts_with("net.") && name.contains(".eth"))
}

async fn create_task(
    engine: &Engine,
    id: &str,
    request: CreateTaskRequest,
) -> std::result::Result<(), tonic::Status> {
    let mut tasks = engine.supervisor.tasks();
    match tasks.create(request.clone()).await {
        // A task that an earlier life left behind and nobody knows of.
        Err(status) if status.code() == tonic::Code::AlreadyExists => {
            clear_task(engine, id).await;
            tasks.create(request).await.map(drop)
        }
        other => other.map(drop),
    }
}

/// The supervisor's record of the container, with the spec to run.
async fn keep_record(engine: &Engine, container: &Container, spec: Vec<u8>) -> Result<()> {
    if container.live().sent_spec.as_ref() == Some(&spec) {
        return Ok(());
    }
    let record = container.record();
    let runtime = runtime_of(engine, &record.host_config.runtime)?;
    let kept = TaskRecord {
        id: container.id.clone(),
        labels: [("containerd.io/moby".to_owned(), engine.id.clone())].into(),
        image: record.image_name.clone(),
        runtime: Some(container::Runtime {
            name: runtime.shim.clone(),
            options: Some(runtime_options(engine, &runtime)?),
        }),
        spec: Some(pack_json(SPEC_URL, spec.clone())),
        snapshotter: engine.supervisor.snapshotter.clone(),
        snapshot_key: container.id.clone(),
        ..TaskRecord::default()
    };
    let mut containers = engine.supervisor.containers();
    let answer = containers.create(CreateContainerRequest { container: Some(kept.clone()) }).await.map(drop);
    let answer = match answer {
        Err(status) if status.code() == tonic::Code::AlreadyExists => {
            let update_mask = Some(FieldMask { paths: vec!["spec".into()] });
            containers.update(UpdateContainerRequest { container: Some(kept), update_mask }).await.map(drop)
        }
        other => other,
    };
    answer.map_err(supervisor::failed(format!("keep the record of container {}", container.id)))?;
    container.live().sent_spec = Some(spec);
    Ok(())
}

/// The runtime that a container asks for.
///
/// # Errors
/// Nobody configured it.
pub fn runtime_of(engine: &Engine, asked: &str) -> Result<Runtime> {
    let settings = engine.settings();
    let name = if asked.is_empty() { &settings.default_runtime } else { asked };
    match settings.runtimes.get(name) {
        Some(runtime) => Ok(runtime.clone()),
        // containerd's own names need no configuration.
        None if name.starts_with("io.containerd.") => Ok(Runtime::of_shim(name)),
        None => Err(Error::invalid_argument(format!("unknown or invalid runtime name: {name}"))),
    }
}

/// What the shim is told: which OCI runtime, and that its state is this engine's own, lest two engines of a host
/// meet in one directory.
fn runtime_options(engine: &Engine, runtime: &Runtime) -> Result<containerd_api::Any> {
    let root = engine.config.run("runtime");
    Ok(pack(&Options {
        binary_name: program_of(engine, runtime)?,
        root: root.to_string_lossy().into_owned(),
        systemd_cgroup: engine.config.flags.cgroup_driver() == CgroupDriver::Systemd,
        ..Options::default()
    }))
}

/// The program that the shim executes; no shim knows of words before its own, so a script puts them there.
fn program_of(engine: &Engine, runtime: &Runtime) -> Result<String> {
    let Some(program) = runtime.binary.clone() else { return Ok(String::new()) };
    if runtime.args.is_empty() {
        return Ok(program);
    }
    let quoted = |word: &String| format!("'{}'", word.replace('\'', "'\\''"));
    let words: Vec<String> = std::iter::once(&program).chain(&runtime.args).map(quoted).collect();
    let script = format!("#!/bin/sh\nexec {} \"$@\"\n", words.join(" "));
    let directory = engine.config.run("runtimes");
    let path = directory.join(hex::encode(&Sha256::digest(&script)[..8]));
    if !path.exists() {
        std::fs::create_dir_all(&directory).map_err(failed("make directory", &directory))?;
        let new = path.with_extension(crate::identity::short(&crate::identity::new_id()));
        std::fs::write(&new, script).map_err(failed("write", &new))?;
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        std::fs::set_permissions(&new, mode).map_err(failed("change the mode of", &new))?;
        std::fs::rename(&new, &path).map_err(failed("rename", &new))?;
    }
    Ok(path.to_string_lossy().into_owned())
}

/// The writable layer of a container that is removed at its end is promised to nobody.
fn forget_on_power_cut(mounts: &mut [containerd_api::types::Mount]) {
    for mount in mounts.iter_mut().filter(|mount| mount.r#type == "overlay") {
        mount.options.push("volatile".into());
    }
}

fn task_request(
    engine: &Engine,
    container: &Arc<Container>,
    rootfs: Vec<containerd_api::types::Mount>,
) -> Result<CreateTaskRequest> {
    let record = container.record();
    let attach = engine.config.run("attach").join(&container.id[..24]);
    // A socket of an earlier run would stand in the new logger's way.
    let _ = std::fs::remove_file(&attach);
    let log_path = super::logs::path(container);
    let options = super::logging::pairs(engine, container)?;
    let uri = LogTarget {
        program: &logger(engine, &record.host_config.runtime, &record.host_config.log_config.kind)?,
        driver: &record.host_config.log_config.kind,
        log_path: &log_path,
        attach_path: &attach,
        options: options.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect(),
        is_terminal: record.is_tty(),
    }
    .uri();
    let mut stdin = String::new();
    if record.config.open_stdin {
        let path = engine.config.run("stdio").join(&container.id[..24]);
        // Bytes of an earlier run are not this one's.
        let _ = std::fs::remove_file(&path);
        let opened = Stdin::open(&path).map_err(failed("open", &path))?;
        stdin = path.to_string_lossy().into_owned();
        container.live().stdin = Some(Arc::new(opened));
    }
    let attach_path = attach.to_string_lossy().into_owned();
    container.update(|record| record.attach_path = attach_path);
    Ok(CreateTaskRequest {
        container_id: container.id.clone(),
        rootfs,
        stdin,
        stderr: if record.is_tty() { String::new() } else { uri.clone() },
        stdout: uri,
        terminal: record.is_tty(),
        ..CreateTaskRequest::default()
    })
}

/// The logger to name. Our own shim knows it by its name alone, a foreign one executes it.
fn logger(engine: &Engine, runtime: &str, driver: &str) -> Result<std::path::PathBuf> {
    if let Some(program) = &engine.programs.logger {
        return Ok(program.clone());
    }
    let runtime = runtime_of(engine, runtime)?;
    if runtime.shim == crate::config::OUR_RUNTIME && !super::logging::is_sent(driver) {
        return Ok(Path::new("/usr/lib/wherry/wherry-logger").to_owned());
    }
    Err(Error::failed_precondition(format!(
        "runtime {} needs wherry-logger, which is neither beside engined nor on PATH",
        runtime.shim
    ))
    .with_hint("Install wherry-logger beside engined."))
}

/// Joins the logger for every client that attached before the start: they miss nothing.
async fn serve_waiting(container: &Arc<Container>) {
    let waiting = std::mem::take(&mut container.live().waiting);
    let path = container.record().attach_path.clone();
    for client in waiting.into_iter().filter(|client| !client.is_closed()) {
        match Output::join(Path::new(&path)).await {
            // A client that has just left needs no output.
            Ok(output) => drop(client.send(output)),
            Err(error) => {
                tracing::warn!(container = %container.id, %error, path, "cannot attach to a starting container")
            }
        }
    }
}

/// Undoes a start that failed half-way.
async fn take_back(engine: &Arc<Engine>, container: &Arc<Container>) {
    clear_task(engine, &container.id).await;
    let stdin = container.live().stdin.take();
    if let Some(stdin) = stdin {
        let _ = std::fs::remove_file(stdin.path());
    }
    // Dropping the senders ends the attached clients.
    container.live().waiting.clear();
    crate::networks::disconnect(engine, container).await;
    crate::volumes::release(engine, &container.record(), false).await;
}

/// Ends and deletes a task that must not be there.
pub async fn clear_task(engine: &Engine, id: &str) {
    let mut tasks = engine.supervisor.tasks();
    let delete = DeleteTaskRequest { container_id: id.to_owned() };
    match tasks.delete(delete.clone()).await {
        Ok(_) => return,
        Err(status) if status.code() == tonic::Code::NotFound => return,
        Err(_) => {}
    }
    let kill = containerd_api::services::tasks::v1::KillRequest {
        container_id: id.to_owned(),
        signal: 9,
        all: true,
        ..Default::default()
    };
    if tasks.kill(kill).await.is_ok() {
        let wait = containerd_api::services::tasks::v1::WaitRequest {
            container_id: id.to_owned(),
            exec_id: String::new(),
        };
        let _ = tokio::time::timeout(std::time::Duration::from_secs(10), tasks.wait(wait)).await;
    }
    if let Err(status) = tasks.delete(delete).await
        && status.code() != tonic::Code::NotFound
    {
        tracing::warn!(container = id, %status, "cannot delete a task");
    }
}
