//! `shim delete`: ends and removes the container of a server that is gone.

use crate::arguments::Arguments;
use crate::bundle::Bundle;
use crate::events::timestamp;
use crate::reaper::Exit;
use crate::rootfs;
use containerd_api::task::v2::DeleteResponse;
use errdefs::{Error, Result};
use prost::Message;
use std::io::Write;
use std::os::unix::net::UnixStream;
use std::process::{Command, Stdio};

/// Kills what is left of the container, removes it, unmounts its root, and prints how it ended.
pub fn delete(arguments: &Arguments) -> Result<()> {
    let bundle = arguments.bundle.clone().map_or_else(Bundle::current, |path| Ok(Bundle::at(path)))?;
    rustix::process::set_child_subreaper(Some(rustix::process::getpid())).map_err(|cause| {
        Error::unknown("cannot become a subreaper").with_source(std::io::Error::from(cause))
    })?;
    let runtime = bundle.runtime(&bundle.options(), &arguments.namespace);
    let removed = run(runtime.delete(&arguments.id, true));
    let unmounted = rootfs::unmount(&bundle.rootfs());
    remove_socket(&bundle);
    removed?;
    unmounted?;
    let exit = Exit::killed();
    let response = DeleteResponse {
        pid: bundle.pid("").unwrap_or_default() as u32,
        exit_status: exit.status,
        exited_at: Some(timestamp(exit.at)),
    };
    std::io::stdout()
        .write_all(&response.encode_to_vec())
        .map_err(|cause| Error::unknown("cannot write the answer").with_source(cause))
}

/// `delete --force` of a container that does not exist is no failure.
fn run(mut command: Command) -> Result<()> {
    let cannot = |cause: std::io::Error| Error::unknown("cannot run the runtime's delete").with_source(cause);
    let output = command.stdin(Stdio::null()).output().map_err(cannot)?;
    let text = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    if output.status.success() || text.contains("does not exist") {
        return Ok(());
    }
    Err(Error::unknown(format!("cannot delete the container: {text}")))
}

/// Removes the server's socket if nobody listens on it.
fn remove_socket(bundle: &Bundle) {
    let Some(address) = bundle.address() else { return };
    let path = address.strip_prefix("unix://").unwrap_or(&address);
    if path.starts_with('/') && UnixStream::connect(path).is_err() {
        let _ = std::fs::remove_file(path);
    }
}
