//! Running a shim binary's actions: `start`, which leaves a server behind, and `delete`, which cleans up.

use super::bootstrap::{self, Bootstrap, Dialect, Greeting};
use super::bundle::Bundle;
use super::runtime::WHERRY_RUNTIME;
use containerd_api::Any;
use containerd_api::task::v2::DeleteResponse;
use containerd_api::types::RuntimeInfo;
use errdefs::{Error, Kind, Result};
use prost::Message;
use std::ffi::{OsStr, OsString};
use std::io::{Read, Write, pipe};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// What every shim is told of this daemon.
#[derive(Clone, Debug)]
pub struct Daemon {
    /// The gRPC socket's path.
    pub grpc_address: String,
    /// The ttrpc socket's path.
    pub ttrpc_address: String,
    /// This daemon's executable.
    pub executable: PathBuf,
    /// Where shims that are asked to put their sockets somewhere put them; see [`socket_dir`].
    pub socket_dir: Option<String>,
    /// Whether shims should be talkative.
    pub debug: bool,
    /// How many descriptors a shim may open (soft limit), if this daemon has given itself more than it was given.
    pub descriptors: Option<u64>,
    /// Where programs are looked for.
    pub programs: Programs,
}

/// Where programs and their libraries are: what clients installed, then where this process looks.
#[derive(Clone, Debug)]
pub struct Programs {
    /// As in `PATH`.
    pub path: OsString,
    /// As in `LD_LIBRARY_PATH`, if there is anything to say.
    libraries: Option<OsString>,
}

impl Programs {
    /// Those of this process, behind those below `installed`.
    pub fn of_this_process(installed: Option<&Path>) -> Programs {
        let before = |name: &str, part: &str| {
            let own = std::env::var_os(name);
            let dirs = own.iter().flat_map(std::env::split_paths).filter(|dir| !dir.as_os_str().is_empty());
            // A directory that cannot be named in a list is left out.
            std::env::join_paths(installed.map(|top| top.join(part)).into_iter().chain(dirs)).ok().or(own)
        };
        let libraries = before("LD_LIBRARY_PATH", "lib").filter(|list| !list.is_empty());
        Programs { path: before("PATH", "bin").unwrap_or_default(), libraries }
    }

    fn give_to(&self, command: &mut Command) {
        command.env("PATH", &self.path);
        if let Some(libraries) = &self.libraries {
            command.env("LD_LIBRARY_PATH", libraries);
        }
    }
}

/// The longest directory that leaves room for a shim's socket in a socket address (`sun_path`).
const LONGEST_SOCKET_DIR: usize = 42;

/// The directory for shims' sockets below the daemon's state, unless its path is too long for one.
pub fn socket_dir(state: &Path) -> Option<String> {
    state.join("s").into_os_string().into_string().ok().filter(|dir| dir.len() <= LONGEST_SOCKET_DIR)
}

/// How long a shim's `start` may take, as containerd waits for a fresh shim: one that hangs keeps a task's name.
const START: Duration = Duration::from_secs(100);
/// The file of our shim, as runtimes' names have it.
const OUR_SHIM: &str = "containerd-shim-wherry-v1";
/// What newer shims say when they are addressed in the words of containerd 2.2 and before.
const REFUSES_OPTIONS: &str = "deprecated API";

impl Daemon {
    /// Starts a shim for `bundle` and returns where it serves. Blocks until the binary's `start` has ended.
    pub fn start_shim(
        &self,
        bundle: &Bundle,
        runtime: &str,
        binary: &Path,
        options: Option<&Any>,
    ) -> Result<Bootstrap> {
        let dialect = if runtime == WHERRY_RUNTIME { Dialect::Params } else { Dialect::Options };
        match self.try_start(bundle, binary, options, dialect) {
            // A foreign shim of any age gets the old words first; the newest answer that they want the new.
            Err(error) if dialect == Dialect::Options && error.chain().contains(REFUSES_OPTIONS) => {
                self.try_start(bundle, binary, options, Dialect::Params)
            }
            started => started,
        }
    }

    fn try_start(
        &self,
        bundle: &Bundle,
        binary: &Path,
        options: Option<&Any>,
        dialect: Dialect,
    ) -> Result<Bootstrap> {
        let publish_binary = self.executable.to_string_lossy();
        let greeting = Greeting {
            id: &bundle.id,
            namespace: &bundle.namespace,
            grpc_address: &self.grpc_address,
            ttrpc_address: &self.ttrpc_address,
            publish_binary: &publish_binary,
            socket_dir: self.socket_dir.as_deref(),
            debug: self.debug,
            options,
        };
        let failed = |what: &str| {
            let what = format!("failed to start shim: {what}");
            move |e: std::io::Error| Error::unknown(what).with_source(e)
        };
        let (mut output, writer) = pipe().map_err(failed("cannot make a pipe"))?;
        let mut command = self.command(bundle, binary);
        command.arg("start").stdin(Stdio::piped());
        command.stdout(writer.try_clone().map_err(failed("cannot share a pipe"))?).stderr(writer);
        let mut child = command.spawn().map_err(failed(&format!("cannot run {}", binary.display())))?;
        // The command holds the pipe's writing ends; while it lives the reading below would not end.
        drop(command);
        if let Some(mut stdin) = child.stdin.take() {
            // A shim that does not read what it is told answers all the same.
            let _ = stdin.write_all(&bootstrap::greet(dialect, &greeting));
        }
        let read = read_within(&mut output, START);
        if read.as_ref().is_err_and(|cause| cause.kind() == std::io::ErrorKind::TimedOut) {
            let _ = child.kill();
            let _ = child.wait();
            let text = format!("failed to start shim: {} start does not end", binary.display());
            return Err(Error::new(Kind::DeadlineExceeded, text));
        }
        let status = child.wait().map_err(failed("cannot wait for it"))?;
        let answer = read.map_err(failed("cannot read its answer"))?;
        if !status.success() {
            let said = String::from_utf8_lossy(&answer);
            return Err(Error::unknown(format!("failed to start shim: {}: {status}", said.trim())));
        }
        bootstrap::parse_answer(&answer)
    }

    /// Runs the binary's `delete`: kills what is left of the task and says how init ended. Blocks at most
    /// `patience`, then kills the binary.
    pub fn delete_task(&self, bundle: &Bundle, binary: &Path, patience: Duration) -> Result<DeleteResponse> {
        let failed = |e: std::io::Error| {
            Error::unknown(format!("cannot run {} delete", binary.display())).with_source(e)
        };
        let mut command = self.command(bundle, binary);
        command.arg("-bundle").arg(&bundle.path).arg("delete");
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(failed)?;
        let pidfd = rustix::process::pidfd_open(
            rustix::process::Pid::from_child(&child),
            rustix::process::PidfdFlags::empty(),
        )
        .map_err(|e| failed(e.into()))?;
        if !readable_within(&pidfd, patience) {
            let _ = child.kill();
        }
        let output = child.wait_with_output().map_err(failed)?;
        let said = String::from_utf8_lossy(&output.stderr);
        if !said.trim().is_empty() {
            tracing::warn!(id = bundle.id, namespace = bundle.namespace, "shim delete: {}", said.trim());
        }
        if !output.status.success() {
            return Err(Error::unknown(format!("shim delete: {}: {}", said.trim(), output.status)));
        }
        DeleteResponse::decode(output.stdout.as_slice())
            .map_err(|e| Error::unknown("cannot decode the answer of shim delete").with_source(e))
    }

    /// Asks a shim's binary what it and its runtime are (`-info`). Blocks at most `patience`.
    pub fn ask_info(&self, binary: &Path, options: Option<&Any>, patience: Duration) -> Result<RuntimeInfo> {
        let failed = |cause: std::io::Error| {
            Error::unknown(format!("cannot ask {} for its info", binary.display())).with_source(cause)
        };
        let mut command = Command::new(binary);
        command.arg("-info").stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command.process_group(0).env_remove("NOTIFY_SOCKET");
        self.programs.give_to(&mut command);
        let mut child = command.spawn().map_err(failed)?;
        if let Some(mut stdin) = child.stdin.take() {
            // A shim that does not read its options answers all the same.
            let _ = stdin.write_all(&options.map(Message::encode_to_vec).unwrap_or_default());
        }
        let pidfd = rustix::process::pidfd_open(
            rustix::process::Pid::from_child(&child),
            rustix::process::PidfdFlags::empty(),
        )
        .map_err(|cause| failed(cause.into()))?;
        if !readable_within(&pidfd, patience) {
            let _ = child.kill();
        }
        let output = child.wait_with_output().map_err(failed)?;
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr);
            return Err(Error::unknown(format!(
                "failed to run [{} -info]: {}: {}",
                binary.display(),
                said.trim(),
                output.status
            )));
        }
        RuntimeInfo::decode(output.stdout.as_slice())
            .map_err(|cause| Error::unknown("cannot decode the runtime's info").with_source(cause))
    }

    fn command(&self, bundle: &Bundle, binary: &Path) -> Command {
        let mut command = Command::new(binary);
        if let Some(limit) = self.descriptors {
            // Containers without a limit of their own have their shim's.
            syscalls::spawn::limit_descriptors(&mut command, limit);
        }
        self.programs.give_to(&mut command);
        let executable: &OsStr = self.executable.as_os_str();
        command
            .args(["-namespace", &bundle.namespace, "-address", &self.grpc_address, "-publish-binary"])
            .arg(executable)
            .args(["-id", &bundle.id]);
        if self.debug {
            command.arg("-debug");
        }
        command
            .current_dir(&bundle.path)
            .env("GOMAXPROCS", "2")
            .env("MAX_SHIM_VERSION", "2")
            .env("TTRPC_ADDRESS", &self.ttrpc_address)
            .env("GRPC_ADDRESS", &self.grpc_address)
            .env("NAMESPACE", &bundle.namespace)
            .process_group(0)
            .envs(frugality(binary))
            // The readiness that systemd waits for is this daemon's, not a shim's or a container's.
            .env_remove("NOTIFY_SOCKET");
        command
    }
}

/// What makes our shim frugal, unless this daemon was told otherwise; others know best what they need.
fn frugality(binary: &Path) -> Option<(&'static str, &'static str)> {
    let is_ours = binary.file_name().is_some_and(|name| name == OUR_SHIM);
    let (name, value) = syscalls::heap::FRUGAL;
    (is_ours && std::env::var_os(name).is_none()).then_some((name, value))
}

/// All that comes until the end; TimedOut if there is none within `patience`.
fn read_within(output: &mut std::io::PipeReader, patience: Duration) -> std::io::Result<Vec<u8>> {
    let end = Instant::now() + patience;
    let (mut all, mut chunk) = (Vec::new(), [0; 4096]);
    loop {
        if !readable_within(output, end.saturating_duration_since(Instant::now())) {
            return Err(std::io::ErrorKind::TimedOut.into());
        }
        match output.read(&mut chunk)? {
            0 => return Ok(all),
            size => all.extend_from_slice(&chunk[..size]),
        }
    }
}

fn readable_within(fd: &impl std::os::fd::AsFd, patience: Duration) -> bool {
    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    let mut fds = [PollFd::new(fd, PollFlags::IN)];
    let limit = Timespec { tv_sec: patience.as_secs() as i64, tv_nsec: patience.subsec_nanos() as i64 };
    poll(&mut fds, Some(&limit)).is_ok_and(|ready| ready > 0)
}
