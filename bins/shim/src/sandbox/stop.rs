//! StopSandbox: the end of all that runs in it; and WaitSandbox, which tells of it.

use super::Sandbox;
use super::create::quiet;
use crate::container::{Container, Surroundings};
use crate::events::timestamp;
use crate::process::Process;
use crate::service::Tasks;
use crate::task;
use containerd_api::runtime::sandbox::v1::{
    StopSandboxRequest, StopSandboxResponse, WaitSandboxRequest, WaitSandboxResponse,
};
use errdefs::{Error, Kind, Result};
use std::sync::Arc;
use std::time::Duration;

const TERM: u32 = 15;
const KILL: u32 = 9;
/// How long what was killed may take to be gone.
const DEATH: Duration = Duration::from_secs(10);

/// Asks everything in the sandbox to end, and kills what has not after the time that the caller gives.
pub(super) async fn stop(tasks: &Arc<Tasks>, request: StopSandboxRequest) -> Result<StopSandboxResponse> {
    let sandbox = tasks.sandbox.get(&request.sandbox_id)?;
    end_all(tasks, &sandbox, Duration::from_secs(request.timeout_secs.into())).await?;
    Ok(StopSandboxResponse {})
}

/// Ends the containers, then the sandbox, which a container may need for its own end.
pub(super) async fn end_all(tasks: &Tasks, sandbox: &Sandbox, patience: Duration) -> Result<()> {
    let change = sandbox.change.lock().await;
    let containers = tasks.all();
    let surroundings = quiet(&tasks.surroundings);
    if !patience.is_zero() {
        for container in &containers {
            signal(container, TERM, &surroundings).await;
        }
        let ends = async {
            for container in &containers {
                gone(&container.init).await;
            }
        };
        let end = tokio::time::Instant::now() + patience;
        // Who is left is killed below.
        let _ = tokio::time::timeout_at(end, ends).await;
        if let Some(container) = sandbox.container() {
            signal(container, TERM, &surroundings).await;
            let _ = tokio::time::timeout_at(end, gone(&container.init)).await;
        }
    }
    for container in containers.iter().chain(sandbox.container()) {
        signal(container, KILL, &surroundings).await;
    }
    if sandbox.container().is_none()
        && let Some(pid) = sandbox.process().live_pid()
    {
        // It ends by itself if it has not.
        let _ = syscalls::signals::kill(pid, KILL as i32);
    }
    let all_gone = async {
        for container in &containers {
            gone(&container.init).await;
        }
        gone(sandbox.process()).await;
    };
    let ended = tokio::time::timeout(DEATH, all_gone).await;
    drop(change);
    ended.map_err(|_| {
        let text = format!("what runs in sandbox {:?} does not end", sandbox.id);
        Error::new(Kind::DeadlineExceeded, text)
    })
}

/// That a process has ended is no failure; what else goes wrong is seen when it does not end.
async fn signal(container: &Arc<Container>, number: u32, surroundings: &Surroundings) {
    if container.init.live_pid().is_some() {
        let _ = task::signal(container, &container.init, number, number == KILL, surroundings).await;
    }
}

/// Resolves when the process has ended; one that was never made has.
async fn gone(process: &Process) {
    if process.pid().is_some() {
        process.ended().await;
    }
}

/// Answers at the sandbox's end, again and again until it is shut down; gives up with its caller.
pub(super) async fn wait(
    tasks: &Arc<Tasks>,
    request: WaitSandboxRequest,
    given_up: impl Future<Output = ()>,
) -> Result<WaitSandboxResponse> {
    let sandbox = tasks.sandbox.get(&request.sandbox_id)?;
    tokio::select! {
        exit = sandbox.process().ended() => {
            Ok(WaitSandboxResponse { exit_status: exit.status, exited_at: Some(timestamp(exit.at)) })
        }
        () = given_up => Err(Error::new(Kind::Canceled, Kind::Canceled.bare_text())),
    }
}
