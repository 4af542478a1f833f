//! Leaving the server behind: a copy of this process, in a session of its own, that outlives the daemon.

use super::dialect::Request;
use crate::arguments::{Action, Arguments};
use crate::bundle::Bundle;
use crate::events::Target;
use crate::serve;
use errdefs::{Error, Result};
use rustix::fs::{Mode, OFlags};
use std::io;
use std::os::unix::net::UnixListener;
use std::process::exit;
use syscalls::clone::Side;

const MAX_OOM_SCORE: i32 = 1000;

/// Starts the server on the socket. It has all that this process knows, so it needs no start of its own.
pub(super) fn server(
    arguments: &Arguments,
    request: &Request,
    bundle: &Bundle,
    listener: UnixListener,
) -> Result<()> {
    settle(request)?;
    let cannot = |cause: io::Error| Error::unknown("cannot start the server").with_source(cause);
    let side = syscalls::clone::fork().map_err(cannot)?;
    let Side::Child = side else { return Ok(()) };
    let arguments = Arguments {
        action: Action::Serve,
        namespace: request.namespace.clone(),
        address: request.grpc_address.clone(),
        publish_binary: request.publish_binary.clone().into(),
        debug: request.debug,
        ..arguments.clone()
    };
    let target = Target::new(request.ttrpc_address.clone(), &arguments);
    let served = detach().map_err(cannot);
    let served = served.and_then(|()| serve::serve_on(listener, &arguments, bundle, target));
    exit(match served {
        Ok(()) => 0,
        Err(error) => {
            crate::journal::warn(&error.chain());
            1
        }
    })
}

/// Lets go of the daemon: its session and its streams, whose end it waits for.
fn detach() -> io::Result<()> {
    rustix::process::setsid()?;
    let null = rustix::fs::open("/dev/null", OFlags::RDWR | OFlags::CLOEXEC, Mode::empty())?;
    rustix::stdio::dup2_stdin(&null)?;
    rustix::stdio::dup2_stdout(&null)?;
    rustix::stdio::dup2_stderr(&null)?;
    Ok(())
}

/// Takes the server's place among victims of memory shortage, and its cgroup and core scheduling: the server
/// inherits them.
fn settle(request: &Request) -> Result<()> {
    adjust_oom_score()
        .map_err(|cause| Error::unknown("failed to adjust OOM score for shim").with_source(cause))?;
    let group = request.options.as_ref().map(|options| options.shim_cgroup.as_str()).unwrap_or_default();
    if !group.is_empty() {
        join_cgroup(group)
            .map_err(|cause| Error::unknown(format!("failed to join cgroup {group}")).with_source(cause))?;
    }
    if std::env::var_os("SCHED_CORE").is_some_and(|value| !value.is_empty()) {
        syscalls::sched::schedule_group_by_core()
            .map_err(|cause| Error::unknown("cannot enable core scheduling").with_source(cause))?;
    }
    Ok(())
}

/// The kernel shall take a container before its keeper, and a keeper before the daemon.
fn adjust_oom_score() -> io::Result<()> {
    let Some(daemon) = rustix::process::getppid() else { return Ok(()) };
    let path = format!("/proc/{}/oom_score_adj", daemon.as_raw_nonzero());
    let score: i32 = std::fs::read_to_string(path)?.trim().parse().map_err(io::Error::other)?;
    std::fs::write("/proc/self/oom_score_adj", (score + 1).min(MAX_OOM_SCORE).to_string())
}

fn join_cgroup(path: &str) -> cgroups::Result<()> {
    let host = cgroups::Host::detect()?;
    let group = cgroups::Cgroup::resolve(&host, &format!("/{}", path.trim_start_matches('/')), "")?;
    group.join_either()?.enter(cgroups::UnifiedBy::Write)
}
