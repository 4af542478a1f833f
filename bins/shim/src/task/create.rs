//! Create: a container with an init that waits for Start.

use crate::bundle::Bundle;
use crate::command;
use crate::container::{Container, Surroundings};
use crate::process::{Io, Prepared, Process, Status, Stdio};
use crate::rootfs;
use crate::service::Tasks;
use containerd_api::events::{TaskCreate, TaskIo};
use containerd_api::runc::v1::Options;
use containerd_api::task::v3::{CreateTaskRequest, CreateTaskResponse};
use containerd_api::types::Mount;
use containerd_api::unpack;
use errdefs::{Error, Result};
use oci_runtime::{Create, Restore};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use stdio::ConsoleSocket;

/// How long a runtime that has ended well may take to have sent its terminal.
const CONSOLE: Duration = Duration::from_secs(10);

/// Mounts the root, opens the streams, lets the runtime create. On failure nothing is left.
pub(crate) async fn create(tasks: &Arc<Tasks>, request: CreateTaskRequest) -> Result<CreateTaskResponse> {
    let reservation = tasks.reserve(&request.id)?;
    let container = prepare(&request, &tasks.surroundings.namespace)?;
    let busy = container.init.busy.lock().await;
    make(&container, &request.rootfs, &tasks.surroundings).await?;
    let pid = container.init.pid().unwrap_or_default() as u32;
    let event = TaskCreate {
        container_id: request.id,
        bundle: request.bundle,
        rootfs: request.rootfs,
        io: Some(TaskIo {
            stdin: request.stdin,
            stdout: request.stdout,
            stderr: request.stderr,
            terminal: request.terminal,
        }),
        checkpoint: request.checkpoint,
        pid,
    };
    tasks.surroundings.events.publish("/tasks/create", &event);
    drop(busy);
    reservation.fill(container);
    Ok(CreateTaskResponse { pid })
}

/// Makes a container that was prepared; its init waits. On failure nothing is left.
pub(crate) async fn make(
    container: &Arc<Container>,
    mounts: &[Mount],
    surroundings: &Surroundings,
) -> Result<()> {
    rootfs::mount(mounts, &container.bundle.rootfs())?;
    if container.checkpoint.is_some() {
        container.init.set_status(Status::Restorable);
    } else if let Err(error) = make_init(container, surroundings).await {
        undo(container, surroundings).await;
        return Err(error);
    }
    Ok(())
}

/// A container as it is asked for, of which nothing is there yet.
pub(crate) fn prepare(request: &CreateTaskRequest, namespace: &str) -> Result<Arc<Container>> {
    let bundle = Bundle::at(&request.bundle);
    let options: Options = match &request.options {
        Some(any) if !any.type_url.is_empty() => {
            unpack(any).map_err(|cause| Error::invalid_argument("cannot read options").with_source(cause))?
        }
        _ => bundle.options(),
    };
    // Where there are none `delete` takes the defaults.
    if options != Options::default() {
        bundle.save_options(&options)?;
    }
    let runtime = bundle.runtime(&options, namespace);
    let config = bundle.config().ok().flatten().unwrap_or_default();
    let stdio = Stdio {
        stdin: request.stdin.clone(),
        stdout: request.stdout.clone(),
        stderr: request.stderr.clone(),
        terminal: request.terminal,
    };
    let init = Process::new("", stdio, Vec::new());
    let checkpoint = Some(request.checkpoint.clone()).filter(|path| !path.is_empty());
    Ok(Arc::new(Container::new(&request.id, bundle, runtime, options, init, checkpoint, &config)))
}

/// Lets the runtime create or restore init, and takes note of it.
pub(super) async fn make_init(container: &Arc<Container>, surroundings: &Surroundings) -> Result<()> {
    let init = &container.init;
    let prepared =
        Prepared::open(&init.stdio, &container.id, &surroundings.namespace, &surroundings.reaper).await?;
    // From before init exists, so that its exit cannot be missed.
    let claim = surroundings.reaper.claim();
    let io = run(container, prepared, surroundings).await?;
    let pid = match container.bundle.pid("") {
        Ok(pid) => pid,
        Err(error) => {
            io.close(Duration::ZERO).await;
            return Err(error);
        }
    };
    init.made(pid, io);
    container.watch_init(pid, surroundings.reaper.watch(pid), surroundings);
    drop(claim);
    Ok(())
}

async fn run(container: &Container, prepared: Prepared, surroundings: &Surroundings) -> Result<Io> {
    let (reaper, runtime) = (&surroundings.reaper, &container.runtime);
    let what = if container.checkpoint.is_some() { "restore" } else { "create" };
    if !container.init.stdio.terminal {
        let (io, streams) = prepared.pipes(container.pipe_owner())?;
        let verb = verb(container, None);
        return match command::run(reaper, runtime, what, verb, Some(streams)).await {
            Ok(()) => Ok(io),
            Err(error) => {
                io.close(Duration::ZERO).await;
                Err(error)
            }
        };
    }
    let made = async {
        let console = console_socket()?;
        command::run(reaper, runtime, what, verb(container, Some(console.path())), None).await?;
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

fn verb(container: &Container, console_socket: Option<&Path>) -> std::process::Command {
    let pid_file = container.bundle.pid_file("");
    let create = Create {
        bundle: container.bundle.path(),
        pid_file: &pid_file,
        console_socket,
        no_pivot: container.options.no_pivot_root,
        no_new_keyring: container.options.no_new_keyring,
    };
    let Some(checkpoint) = &container.checkpoint else {
        return container.runtime.create(&container.id, &create);
    };
    let work = Some(&container.options.criu_work_path).filter(|path| !path.is_empty()).map(Path::new);
    let restore = Restore { create, image_path: Path::new(checkpoint), work_path: work };
    container.runtime.restore(&container.id, &restore)
}

/// A console socket in the place for private sockets of this user.
pub(super) fn console_socket() -> Result<ConsoleSocket> {
    let base = std::env::var_os("XDG_RUNTIME_DIR").filter(|dir| Path::new(dir).is_dir());
    let base = base.map_or_else(std::env::temp_dir, Into::into);
    ConsoleSocket::bind(&base)
        .map_err(|cause| Error::unknown("failed to create OCI runtime console socket").with_source(cause))
}

pub(super) fn no_console(cause: std::io::Error) -> Error {
    Error::unknown("failed to retrieve console master").with_source(cause)
}

/// Removes what a failed creation left.
async fn undo(container: &Container, surroundings: &Surroundings) {
    let delete = container.runtime.delete(&container.id, true);
    // Mostly there is nothing to delete, which some runtimes call an error.
    let _ = command::run(&surroundings.reaper, &container.runtime, "delete", delete, None).await;
    if let Err(error) = rootfs::unmount(&container.bundle.rootfs()) {
        crate::journal::warn(&error.chain());
    }
}
