//! A supervisord of a test's own, that can be killed and started again, and a client that makes containers on it.
//!
//! Programs are those in `WHERRY_PROGRAMS`, else the ones built beside the test: `cargo build -p shim -p rt` first.
#![allow(dead_code)]

mod api;
mod leftovers;

pub use api::Api;
use containerd_api::Dial;
use leftovers::Found;

use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;
use tonic::transport::Endpoint;

/// How long anything may take that must come.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// The daemon and its directory.
pub struct Stage {
    top: TempDir,
    /// The containerd namespace, and the name of the cgroup of its containers.
    pub name: String,
    daemon: Option<Child>,
}

impl Stage {
    /// A daemon on a fresh directory.
    pub fn new() -> Stage {
        let mut stage = Stage::idle();
        stage.start();
        stage
    }

    /// The directory, and no daemon yet.
    pub fn idle() -> Stage {
        let top = tempfile::Builder::new().prefix("wh").tempdir_in("/tmp").unwrap();
        let name = top.path().file_name().unwrap().to_str().unwrap().to_owned();
        Stage { top, name, daemon: None }
    }

    /// A path of the stage.
    pub fn path(&self, name: &str) -> PathBuf {
        self.top.path().join(name)
    }

    /// Starts the daemon and says how long it took until it was ready.
    pub fn start(&mut self) -> Duration {
        let took = self.launch(Command::new(program("supervisord")));
        took.unwrap_or_else(|| panic!("no daemon\n{}", self.log()))
    }

    /// Starts the daemon with no more than so many descriptors; false if it said that these are too few.
    pub fn start_with_descriptors(&mut self, limit: u32) -> bool {
        let mut command = Command::new("prlimit");
        command.arg(format!("--nofile={limit}:{limit}")).arg(program("supervisord"));
        self.launch(command).is_some()
    }

    /// `None` if the daemon ends before it is ready.
    fn launch(&mut self, mut command: Command) -> Option<Duration> {
        let socket = self.path("notify");
        let _ = std::fs::remove_file(&socket);
        let notifications = UnixDatagram::bind(&socket).unwrap();
        notifications.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
        let log = std::fs::File::options().create(true).append(true).open(self.path("log")).unwrap();
        for (flag, name) in [("--address", "s.sock"), ("--root", "root"), ("--state", "state")] {
            command.arg(flag).arg(self.path(name));
        }
        if self.path("config.toml").exists() {
            command.arg("--config").arg(self.path("config.toml"));
        }
        command.env("NOTIFY_SOCKET", &socket).stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        let started = Instant::now();
        let mut daemon = command.spawn().unwrap();
        let mut text = [0; 1024];
        loop {
            let size = notifications.recv(&mut text).unwrap_or(0);
            if text[..size].split(|byte| *byte == b'\n').any(|line| line == b"READY=1") {
                self.daemon = Some(daemon);
                return Some(started.elapsed());
            }
            if daemon.try_wait().unwrap().is_some() {
                return None;
            }
            assert!(started.elapsed() < PATIENCE, "no daemon\n{}", self.log());
        }
    }

    /// kill -9.
    pub fn kill(&mut self) {
        let mut daemon = self.daemon.take().unwrap();
        daemon.kill().unwrap();
        daemon.wait().unwrap();
    }

    /// The daemon's process.
    pub fn pid(&self) -> u32 {
        self.daemon.as_ref().unwrap().id()
    }

    /// A client of the daemon that runs now; it connects when it is first used.
    pub fn api(&self) -> Api {
        let endpoint = Endpoint::from_static("http://s");
        Api::new(endpoint.connect_with_connector_lazy(Dial(self.path("s.sock"))), &self.name)
    }

    /// The end of what the daemons logged.
    pub fn log(&self) -> String {
        let text = std::fs::read_to_string(self.path("log")).unwrap_or_default();
        let from = text.char_indices().rev().nth(6000).map_or(0, |(at, _)| at);
        text[from..].to_owned()
    }

    /// Where the bundles are.
    pub fn bundles(&self) -> PathBuf {
        self.path("state/io.containerd.runtime.v2.task").join(&self.name)
    }

    /// Waits until the host has what belongs to these containers, and nothing of any other.
    #[track_caller]
    pub fn expect_on_host(&self, ids: &[&str], what: &str) {
        let (wanted, end) = (Found::of(ids), Instant::now() + PATIENCE / 2);
        let mut found = Found::look(self.top.path(), &self.name);
        while found != wanted && Instant::now() < end {
            std::thread::sleep(Duration::from_millis(20));
            found = Found::look(self.top.path(), &self.name);
        }
        assert_eq!(found, wanted, "{what}");
    }

    /// The shim of a container.
    pub fn shim_of(&self, pid: u32) -> i32 {
        parent_of(pid as i32)
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("--- the end of the daemon's log\n{}", self.log());
        }
        if let Some(mut daemon) = self.daemon.take() {
            let _ = daemon.kill();
            let _ = daemon.wait();
        }
        leftovers::end(self.top.path(), &self.name);
    }
}

/// Where a program is.
pub fn program(name: &str) -> PathBuf {
    let built = Path::new(env!("CARGO_BIN_EXE_supervisord")).parent().unwrap().to_owned();
    let dir = std::env::var_os("WHERRY_PROGRAMS").map_or(built, PathBuf::from);
    let path = dir.join(name);
    assert!(path.exists(), "no {}: cargo build -p shim -p rt", path.display());
    path
}

/// The process that a process is a child of.
pub fn parent_of(pid: i32) -> i32 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    stat.rsplit(')').next().unwrap().split_whitespace().nth(1).unwrap().parse().unwrap()
}

/// Sends a signal to a process.
pub fn signal(pid: i32, signal: rustix::process::Signal) {
    let _ = rustix::process::kill_process(rustix::process::Pid::from_raw(pid).unwrap(), signal);
}

/// Waits until `look` finds something.
#[track_caller]
pub fn until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let end = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < end, "not in time: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// A number from the environment.
pub fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

/// A source of chances that can be had again; its seed is told.
pub struct Dice(u64);

impl Dice {
    /// The one that `WHERRY_SEED` says, else any.
    pub fn new() -> Dice {
        let seed = number("WHERRY_SEED").unwrap_or_else(|| u64::from(std::process::id()) * 0x9e37_79b9 + 1);
        eprintln!("seed {seed}");
        Dice(seed)
    }

    pub fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % bound
    }
}
