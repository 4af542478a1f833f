//! A bundle with busybox, a daemon that takes events, and a client of the shim.
#![allow(dead_code)]

mod runtimes;

use containerd_api::runc::v1::Options;
use containerd_api::runtime::bootstrap::v1::{BootstrapParams, BootstrapResult, Extension};
use containerd_api::services::events::ttrpc::v1::ForwardRequest;
use containerd_api::task::v3::*;
use containerd_api::{PROCESS_URL, pack, pack_json};
use prost::Message;
use prost::bytes::Bytes;
pub use runtimes::{copy_program, runtimes};
use std::io::Write;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::mpsc;
use ttrpc::{CallOptions, Client, Context, Error, Reply, Server, Service};

/// The shim to test: this build's, or another one (`WHERRY_TEST_SHIM`).
pub fn shim() -> String {
    std::env::var("WHERRY_TEST_SHIM").unwrap_or_else(|_| env!("CARGO_BIN_EXE_shim").to_owned())
}

pub const LOGGER: &str = env!("CARGO_BIN_EXE_wherry-logger");
const LIMIT: Duration = Duration::from_secs(20);

struct Forward(mpsc::UnboundedSender<(String, Vec<u8>)>);

impl Service for Forward {
    fn call(&self, _: Context, _: &str, payload: Bytes) -> Reply<'static> {
        let request = ForwardRequest::decode(payload).unwrap();
        let envelope = request.envelope.unwrap();
        let _ = self.0.send((envelope.topic, envelope.event.unwrap().value));
        Box::pin(async { Ok(Bytes::new()) })
    }
}

/// A daemon's side: a directory, a socket for events.
pub struct Daemon {
    pub dir: tempfile::TempDir,
    pub events: mpsc::UnboundedReceiver<(String, Vec<u8>)>,
    task: tokio::task::JoinHandle<()>,
}

impl Daemon {
    pub fn start() -> Daemon {
        let dir = tempfile::Builder::new().prefix("shim").tempdir_in("/run").unwrap();
        let (sender, events) = mpsc::unbounded_channel();
        let task = listen(&dir.path().join("ttrpc"), sender);
        Daemon { dir, events, task }
    }

    /// The daemon dies; its socket stays as a file.
    pub fn die(&mut self) {
        self.task.abort();
    }

    pub fn live_again(&mut self) {
        let path = self.dir.path().join("ttrpc");
        std::fs::remove_file(&path).unwrap();
        let (sender, events) = mpsc::unbounded_channel();
        self.events = events;
        self.task = listen(&path, sender);
    }

    /// The topic of the next event.
    pub async fn topic(&mut self) -> String {
        self.event().await.0
    }

    pub async fn event(&mut self) -> (String, Vec<u8>) {
        tokio::time::timeout(LIMIT, self.events.recv()).await.expect("no event comes").unwrap()
    }
}

fn listen(path: &Path, sender: mpsc::UnboundedSender<(String, Vec<u8>)>) -> tokio::task::JoinHandle<()> {
    let listener = UnixListener::bind(path).unwrap();
    let server =
        Server::new().service("containerd.services.events.ttrpc.v1.Events", Arc::new(Forward(sender)));
    tokio::spawn(async move { drop(server.serve(listener, std::future::pending()).await) })
}

/// A container's shim and its client.
///
/// Dropped before its end, by a test that panics, it takes everything with it.
pub struct Shim {
    pub id: String,
    pub bundle: PathBuf,
    pub client: Client,
    pub address: PathBuf,
    pub options: Options,
    /// The server.
    pub pid: u32,
    ended: bool,
}

pub struct Bundle<'a> {
    pub args: &'a [&'a str],
    pub terminal: bool,
    pub memory: Option<i64>,
    pub own_pids: bool,
    /// `io.kubernetes.cri.sandbox-id`.
    pub sandbox: Option<&'a str>,
}

pub fn sh<'a>(args: &'a [&'a str]) -> Bundle<'a> {
    Bundle { args, terminal: false, memory: None, own_pids: true, sandbox: None }
}

/// What `start` is told beside the usual.
#[derive(Default)]
pub struct Start<'a> {
    /// Where events go instead of the daemon's socket.
    pub publish_binary: Option<&'a Path>,
    pub shim_cgroup: &'a str,
    pub env: &'a [(&'a str, &'a str)],
}

fn config(bundle: &Bundle<'_>, id: &str) -> String {
    let args: Vec<String> = bundle.args.iter().map(|arg| format!("{arg:?}")).collect();
    let memory = bundle
        .memory
        .map(|limit| format!(r#""memory":{{"limit":{limit},"swap":{limit}}},"#))
        .unwrap_or_default();
    let annotations =
        bundle.sandbox.map(|id| format!(r#""annotations":{{"io.kubernetes.cri.sandbox-id":{id:?}}},"#));
    let annotations = annotations.unwrap_or_default();
    let pids = if bundle.own_pids { r#"{"type":"pid"},"# } else { "" };
    format!(
        r#"{{"ociVersion":"1.0.2",{annotations}"process":{{"terminal":{},"user":{{"uid":0,"gid":0}},"args":[{}],
        "env":["PATH=/bin","TERM=xterm"],"cwd":"/","capabilities":{{"bounding":["CAP_KILL"],"effective":["CAP_KILL"],"permitted":["CAP_KILL"]}}}},
        "root":{{"path":"rootfs"}},"hostname":"test",
        "mounts":[{{"destination":"/proc","type":"proc","source":"proc"}},
        {{"destination":"/dev","type":"tmpfs","source":"tmpfs","options":["nosuid","mode=755"]}},
        {{"destination":"/dev/pts","type":"devpts","source":"devpts","options":["nosuid","noexec","newinstance","ptmxmode=0666","mode=0620"]}}],
        "linux":{{"cgroupsPath":"/wherry-shim-test-{id}","resources":{{{memory}"pids":{{"limit":100}}}},
        "namespaces":[{pids}{{"type":"ipc"}},{{"type":"uts"}},{{"type":"mount"}},{{"type":"network"}}]}}}}"#,
        bundle.terminal,
        args.join(",")
    )
}

/// A root file system with busybox, in a directory that is to be bound at rootfs.
pub fn root(dir: &Path) -> PathBuf {
    let root = dir.join("image");
    if !root.exists() {
        for name in ["bin", "proc", "dev", "tmp", "sys"] {
            std::fs::create_dir_all(root.join(name)).unwrap();
        }
        copy_program("/bin/busybox", root.join("bin/busybox"));
        for name in [
            "sh", "echo", "cat", "sleep", "true", "false", "stty", "head", "tail", "seq", "yes", "tty",
            "kill", "dd", "env",
        ] {
            symlink("busybox", root.join("bin").join(name)).unwrap();
        }
    }
    root
}

impl Shim {
    pub async fn start(daemon: &Daemon, runtime: &str, bundle: Bundle<'_>) -> Shim {
        Shim::try_start(daemon, runtime, bundle, &Start::default()).await.unwrap()
    }

    /// As [`Shim::start`]; what `start` said if it failed.
    pub async fn try_start(
        daemon: &Daemon,
        runtime: &str,
        bundle: Bundle<'_>,
        start: &Start<'_>,
    ) -> Result<Shim, String> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let id = format!("c{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let path = daemon.dir.path().join(&id);
        std::fs::create_dir_all(path.join("rootfs")).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o711)).unwrap();
        std::fs::write(path.join("config.json"), config(&bundle, &id)).unwrap();
        fifo(&path.join("log"));
        let options = Options {
            binary_name: runtime.to_owned(),
            root: daemon.dir.path().join("runtime").display().to_string(),
            shim_cgroup: start.shim_cgroup.to_owned(),
            ..Default::default()
        };
        let address = bootstrap(daemon, &id, &path, &options, start)?;
        let client = Client::new(UnixStream::connect(&address).await.unwrap()).unwrap();
        let mut shim = Shim { id, bundle: path, client, address, options, pid: 0, ended: false };
        let request = ConnectRequest { id: shim.id.clone() };
        shim.pid = shim.call::<_, ConnectResponse>("Connect", &request).await.unwrap().shim_pid;
        Ok(shim)
    }

    pub async fn call<Req: Message, Resp: Message + Default>(
        &self,
        method: &str,
        request: &Req,
    ) -> Result<Resp, Error> {
        let options = CallOptions { timeout: Some(LIMIT), ..Default::default() };
        self.client.call("containerd.task.v3.Task", method, request, options).await
    }

    pub async fn create(
        &self,
        daemon: &Daemon,
        stdio: [&str; 3],
        terminal: bool,
    ) -> Result<CreateTaskResponse, Error> {
        let root = root(daemon.dir.path());
        let rootfs = containerd_api::types::Mount {
            r#type: "bind".into(),
            source: root.display().to_string(),
            target: String::new(),
            options: vec!["rbind".into(), "rw".into()],
        };
        let request = CreateTaskRequest {
            id: self.id.clone(),
            bundle: self.bundle.display().to_string(),
            rootfs: vec![rootfs],
            terminal,
            stdin: stdio[0].into(),
            stdout: stdio[1].into(),
            stderr: stdio[2].into(),
            options: Some(pack(&self.options)),
            ..Default::default()
        };
        self.call("Create", &request).await
    }

    pub async fn start_process(&self, exec: &str) -> Result<StartResponse, Error> {
        self.call("Start", &StartRequest { id: self.id.clone(), exec_id: exec.into() }).await
    }

    pub async fn exec(
        &self,
        exec: &str,
        args: &[&str],
        stdio: [&str; 3],
        terminal: bool,
    ) -> Result<(), Error> {
        let args: Vec<String> = args.iter().map(|arg| format!("{arg:?}")).collect();
        let spec = format!(
            r#"{{"terminal":{terminal},"user":{{"uid":0,"gid":0}},"args":[{}],"env":["PATH=/bin"],"cwd":"/"}}"#,
            args.join(",")
        );
        let request = ExecProcessRequest {
            id: self.id.clone(),
            exec_id: exec.into(),
            terminal,
            stdin: stdio[0].into(),
            stdout: stdio[1].into(),
            stderr: stdio[2].into(),
            spec: Some(pack_json(PROCESS_URL, spec.into_bytes())),
        };
        self.call("Exec", &request).await
    }

    pub async fn wait(&self, exec: &str) -> u32 {
        let request = WaitRequest { id: self.id.clone(), exec_id: exec.into() };
        let response: WaitResponse = self.call("Wait", &request).await.unwrap();
        assert!(response.exited_at.is_some());
        response.exit_status
    }

    pub async fn kill(&self, exec: &str, signal: u32, all: bool) -> Result<(), Error> {
        let request = KillRequest { id: self.id.clone(), exec_id: exec.into(), signal, all };
        self.call("Kill", &request).await
    }

    pub async fn delete(&self, exec: &str) -> Result<DeleteResponse, Error> {
        self.call("Delete", &DeleteRequest { id: self.id.clone(), exec_id: exec.into() }).await
    }

    pub async fn state(&self, exec: &str) -> Result<StateResponse, Error> {
        self.call("State", &StateRequest { id: self.id.clone(), exec_id: exec.into() }).await
    }

    /// Whether the server's process is there.
    fn is_alive(&self) -> bool {
        // Nobody else reaps it: its parent, the start action, is gone; init does.
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.pid)).unwrap_or_default();
        !(stat.is_empty() || stat.contains(") Z"))
    }

    /// Ends the server, and checks that nothing is left of it.
    pub async fn shutdown(mut self) {
        let request = ShutdownRequest { id: self.id.clone(), now: false };
        self.call::<_, ()>("Shutdown", &request).await.unwrap();
        tokio::time::timeout(LIMIT, self.client.closed()).await.expect("the server goes on");
        assert!(!self.address.exists(), "the socket is left");
        assert!(!mounted(&self.bundle.join("rootfs")), "the root is left mounted");
        assert!(
            !Path::new(&format!("/sys/fs/cgroup/pids/wherry-shim-test-{}", self.id)).exists(),
            "a cgroup is left"
        );
        for _ in 0..500 {
            if !self.is_alive() {
                self.ended = true;
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("the server's process is left");
    }

    /// A server that was ended otherwise, or that others are served by.
    pub fn forget(mut self) {
        self.ended = true;
    }
}

impl Drop for Shim {
    /// What a daemon does after a server that died.
    fn drop(&mut self) {
        if self.ended {
            return;
        }
        if self.is_alive() {
            let _ = Command::new("kill").args(["-9", &self.pid.to_string()]).status();
        }
        let mut command = Command::new(shim());
        command.args(["-namespace", "test", "-id", &self.id, "-bundle"]).arg(&self.bundle).arg("delete");
        let _ = command.stdin(Stdio::null()).stdout(Stdio::null()).status();
    }
}

pub fn mounted(path: &Path) -> bool {
    let wanted = format!(" {} ", path.display());
    std::fs::read_to_string("/proc/self/mountinfo").unwrap().lines().any(|line| line.contains(&wanted))
}

fn bootstrap(
    daemon: &Daemon,
    id: &str,
    bundle: &Path,
    options: &Options,
    start: &Start<'_>,
) -> Result<PathBuf, String> {
    let grpc = daemon.dir.path().join("grpc").display().to_string();
    let publish_binary = start.publish_binary.unwrap_or(Path::new("/bin/false"));
    let ttrpc = match start.publish_binary {
        None => daemon.dir.path().join("ttrpc").display().to_string(),
        Some(_) => String::new(),
    };
    let params = BootstrapParams {
        instance_id: id.into(),
        namespace: "test".into(),
        containerd_ttrpc_address: ttrpc,
        containerd_grpc_address: grpc.clone(),
        containerd_binary: publish_binary.display().to_string(),
        socket_dir: Some(daemon.dir.path().join("s").display().to_string()),
        extensions: vec![Extension { value: Some(pack(options)) }],
        ..Default::default()
    };
    let mut child = Command::new(shim())
        .args(["-namespace", "test", "-address", &grpc, "-publish-binary"])
        .arg(publish_binary)
        .args(["-id", id, "start"])
        .envs([syscalls::heap::FRUGAL])
        .envs(start.env.iter().copied())
        .current_dir(bundle)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(&params.encode_to_vec()).unwrap();
    let output = child.wait_with_output().unwrap();
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into_owned());
    }
    let result = BootstrapResult::decode(&output.stdout[..]).unwrap();
    assert_eq!((result.version, result.protocol.as_str()), (3, "ttrpc"));
    Ok(result.address.strip_prefix("unix://").unwrap().into())
}

/// Makes a fifo.
pub fn fifo(path: &Path) -> String {
    rustix::fs::mkfifoat(rustix::fs::CWD, path, rustix::fs::Mode::RWXU).unwrap();
    path.display().to_string()
}

/// Reads a fifo to its end.
pub fn read_fifo(path: &str) -> tokio::task::JoinHandle<String> {
    let path = path.to_owned();
    tokio::task::spawn_blocking(move || {
        let bytes = std::fs::read(path).unwrap();
        String::from_utf8_lossy(&bytes).into_owned()
    })
}

pub fn status(result: Result<impl std::fmt::Debug, Error>) -> (errdefs::Kind, String) {
    match result.unwrap_err() {
        Error::Status(status) => (status.kind(), status.message),
        Error::Closed => panic!("the shim is gone"),
    }
}
