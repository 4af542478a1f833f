//! Starting the server: a process of its own session that outlives the daemon.

use super::dialect::Request;
use crate::arguments::Arguments;
use crate::bundle::Bundle;
use errdefs::{Error, Result};
use std::os::unix::net::UnixListener;
use std::process::{Command, Stdio};

/// The server's descriptor of its listening socket.
pub(crate) const LISTENER: i32 = 3;
const MAX_OOM_SCORE: i32 = 1000;

/// Starts the server with the socket as descriptor 3.
pub(super) fn server(
    arguments: &Arguments,
    request: &Request,
    bundle: &Bundle,
    listener: UnixListener,
) -> Result<()> {
    let cannot = |cause: std::io::Error| Error::unknown("cannot start the server").with_source(cause);
    let own = std::env::current_exe().map_err(cannot)?;
    let mut command = Command::new(own);
    if let Some(name) = std::env::args_os().next() {
        std::os::unix::process::CommandExt::arg0(&mut command, name);
    }
    command.args(["-namespace", &request.namespace, "-id", &arguments.id, "-address", &request.grpc_address]);
    if !request.publish_binary.is_empty() {
        command.args(["-publish-binary", &request.publish_binary]);
    }
    if request.debug {
        command.arg("-debug");
    }
    command.env("OTEL_SERVICE_NAME", format!("containerd-shim-{}", arguments.id));
    match &request.ttrpc_address {
        Some(address) => command.env("TTRPC_ADDRESS", address),
        None => command.env_remove("TTRPC_ADDRESS"),
    };
    command.current_dir(bundle.path());
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    syscalls::spawn::new_session(&mut command);
    syscalls::spawn::pass(&mut command, [(listener.into(), LISTENER)]);
    let mut child = command.spawn().map_err(cannot)?;
    let settled = settle(child.id(), request);
    if settled.is_err() {
        let _ = child.kill();
        let _ = child.wait();
    }
    settled
}

/// Gives the server its place among victims of memory shortage, and its cgroup.
fn settle(pid: u32, request: &Request) -> Result<()> {
    adjust_oom_score(pid)
        .map_err(|cause| Error::unknown("failed to adjust OOM score for shim").with_source(cause))?;
    let group = request.options.as_ref().map(|options| options.shim_cgroup.as_str()).unwrap_or_default();
    if group.is_empty() {
        return Ok(());
    }
    join_cgroup(pid, group)
        .map_err(|cause| Error::unknown(format!("failed to join cgroup {group}")).with_source(cause))
}

/// The kernel shall take a container before its keeper, and a keeper before the daemon.
fn adjust_oom_score(pid: u32) -> std::io::Result<()> {
    let Some(daemon) = rustix::process::getppid() else { return Ok(()) };
    let path = format!("/proc/{}/oom_score_adj", daemon.as_raw_nonzero());
    let score: i32 = std::fs::read_to_string(path)?.trim().parse().map_err(std::io::Error::other)?;
    std::fs::write(format!("/proc/{pid}/oom_score_adj"), (score + 1).min(MAX_OOM_SCORE).to_string())
}

fn join_cgroup(pid: u32, path: &str) -> cgroups::Result<()> {
    let host = cgroups::Host::detect()?;
    let group = cgroups::Cgroup::resolve(&host, &format!("/{}", path.trim_start_matches('/')), "")?;
    group.add_process(i32::try_from(pid).unwrap_or_default())
}
