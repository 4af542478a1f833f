//! Start: init or an exec begins to run.

use super::create::{console_socket, make_init, no_console};
use crate::command;
use crate::container::{Container, Surroundings};
use crate::process::{Io, Prepared, Process, Status, Verb};
use crate::service::Tasks;
use containerd_api::events::{TaskExecStarted, TaskStart};
use containerd_api::task::v3::{StartRequest, StartResponse};
use errdefs::{Error, Result};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// How long a runtime that has ended well may take to have sent its terminal.
const CONSOLE: Duration = Duration::from_secs(10);

/// Starts it; the event is queued before any exit of it can be.
pub(crate) async fn start(tasks: &Arc<Tasks>, request: StartRequest) -> Result<StartResponse> {
    let container = tasks.container(&request.id)?;
    let process = container.process(&request.exec_id)?;
    let busy = process.busy.lock().await;
    process.allow(Verb::Start)?;
    if process.is_init() {
        start_init(&container, &tasks.surroundings).await?;
    } else {
        start_exec(&container, &process, &tasks.surroundings).await?;
    }
    process.set_status(Status::Running);
    let pid = process.pid().unwrap_or_default() as u32;
    let (events, container_id) = (&tasks.surroundings.events, container.id.clone());
    match process.is_init() {
        true => events.publish("/tasks/start", &TaskStart { container_id, pid }),
        false => {
            let event = TaskExecStarted { container_id, exec_id: request.exec_id, pid };
            events.publish("/tasks/exec-started", &event);
        }
    }
    drop(busy);
    Ok(StartResponse { pid })
}

/// Lets an init run that waits, or restores it.
pub(crate) async fn start_init(container: &Arc<Container>, surroundings: &Surroundings) -> Result<()> {
    if container.init.status() == Status::Restorable {
        return make_init(container, surroundings).await;
    }
    let verb = container.runtime.start(&container.id);
    command::run(&surroundings.reaper, &container.runtime, "start", verb, None).await
}

async fn start_exec(
    container: &Arc<Container>,
    process: &Arc<Process>,
    surroundings: &Surroundings,
) -> Result<()> {
    let running = container.begin_exec()?;
    let spec = SpecFile::write(container, process)?;
    let prepared =
        Prepared::open(&process.stdio, &container.id, &surroundings.namespace, &surroundings.reaper).await?;
    let claim = surroundings.reaper.claim();
    let io = run_exec(container, process, &spec.path, prepared, surroundings).await?;
    let pid = match container.bundle.pid(&process.id) {
        Ok(pid) => pid,
        Err(error) => {
            io.close(Duration::ZERO).await;
            return Err(error);
        }
    };
    process.made(pid, io);
    let exit = surroundings.reaper.watch(pid);
    container.watch_exec(process.clone(), exit, running, surroundings);
    drop(claim);
    Ok(())
}

async fn run_exec(
    container: &Container,
    process: &Process,
    spec: &Path,
    prepared: Prepared,
    surroundings: &Surroundings,
) -> Result<Io> {
    let (reaper, runtime) = (&surroundings.reaper, &container.runtime);
    let pid_file = container.bundle.pid_file(&process.id);
    if !process.stdio.terminal {
        let (io, streams) = prepared.pipes(container.pipe_owner())?;
        let verb = runtime.exec(&container.id, spec, &pid_file, None);
        return match command::run(reaper, runtime, "exec", verb, Some(streams)).await {
            Ok(()) => Ok(io),
            Err(error) => {
                io.close(Duration::ZERO).await;
                Err(error)
            }
        };
    }
    let made = async {
        let console = console_socket()?;
        let verb = runtime.exec(&container.id, spec, &pid_file, Some(console.path()));
        command::run(reaper, runtime, "exec", verb, None).await?;
        console.master(CONSOLE).await.map_err(no_console)
    };
    match made.await {
        Ok(master) => prepared.terminal(master),
        Err(error) => {
            prepared.abandon().await;
            Err(error)
        }
    }
}

/// The process's description in a file, as long as the runtime reads it.
struct SpecFile {
    path: PathBuf,
}

impl SpecFile {
    fn write(container: &Container, process: &Process) -> Result<SpecFile> {
        use std::io::Write;
        use std::os::unix::fs::OpenOptionsExt;
        let path = container.bundle.path().join(format!(".{}.json", process.id));
        let write = || {
            let mut options = std::fs::OpenOptions::new();
            options.write(true).create(true).truncate(true).mode(0o600).open(&path)?.write_all(&process.spec)
        };
        write().map_err(|cause: std::io::Error| {
            Error::unknown(format!("cannot write {}", path.display())).with_source(cause)
        })?;
        Ok(SpecFile { path })
    }
}

impl Drop for SpecFile {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.path);
    }
}
