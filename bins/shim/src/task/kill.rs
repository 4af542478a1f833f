//! Kill: a signal for one process, or for all of a container.

use crate::command;
use crate::container::{Container, Surroundings};
use crate::process::{Process, Status};
use crate::service::Tasks;
use containerd_api::task::v3::KillRequest;
use errdefs::{Error, Result};
use rustix::io::Errno;
use rustix::process::Pid;
use std::sync::Arc;

/// Runtimes whose init is the container's own process: a signal needs no runtime then.
const DIRECT: [&str; 3] = ["rt", "runc", "crun"];

/// Sends the signal.
pub(crate) async fn kill(tasks: &Arc<Tasks>, request: KillRequest) -> Result<()> {
    let container = tasks.container(&request.id)?;
    let process = container.process(&request.exec_id)?;
    if process.status() == Status::Deleted {
        return Err(Error::not_found("cannot kill a deleted process"));
    }
    if process.exit().is_some() {
        return Err(finished());
    }
    signal(&container, &process, request.signal, request.all, &tasks.surroundings).await
}

/// Sends a signal to a process that has not ended, or with init to all of its container.
pub(crate) async fn signal(
    container: &Container,
    process: &Process,
    number: u32,
    all: bool,
    surroundings: &Surroundings,
) -> Result<()> {
    let by_runtime =
        process.is_init() && (all || !is_direct(container) || process.status() == Status::Paused);
    if !by_runtime {
        return send(process, number);
    }
    let verb = container.runtime.kill(&container.id, number, all);
    command::run(&surroundings.reaper, &container.runtime, "kill", verb, None).await.map_err(wire_error)
}

fn is_direct(container: &Container) -> bool {
    let name = container.runtime.binary.file_name().and_then(|name| name.to_str());
    name.is_some_and(|name| DIRECT.contains(&name))
}

/// The process is a child of ours that was not reaped: its pid cannot mean another.
fn send(process: &Process, signal: u32) -> Result<()> {
    let pid = process.live_pid().and_then(Pid::from_raw);
    let pid = pid.ok_or_else(|| Error::failed_precondition("process not created"))?;
    let number = i32::try_from(signal).ok().filter(|number| (0..=64).contains(number));
    let number = number.ok_or_else(|| Error::invalid_argument(format!("invalid signal {signal}")))?;
    match syscalls::signals::kill(pid.as_raw_nonzero().get(), number) {
        Ok(()) => Ok(()),
        Err(error) if error.raw_os_error() == Some(Errno::SRCH.raw_os_error()) => Err(finished()),
        Err(error) => Err(Error::unknown("unknown error after kill").with_source(error)),
    }
}

fn finished() -> Error {
    Error::not_found("process already finished")
}

/// A runtime says only in words that there is nobody to kill.
fn wire_error(error: Error) -> Error {
    let text = error.chain().to_lowercase();
    let gone = ["process already finished", "container not running", "no such process"];
    if gone.iter().any(|words| text.contains(words)) {
        finished()
    } else if text.contains("does not exist") {
        Error::not_found("no such container")
    } else {
        Error::unknown("unknown error after kill").with_source(error)
    }
}
