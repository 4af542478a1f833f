//! Other people's programs, each started privately in a directory of its own.

use crate::Daemon;
use std::io;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

/// Whether the host has `program` on its path.
pub fn has(program: &str) -> bool {
    find(program).is_some()
}

/// Where the host has `program`.
pub fn find(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|dir| dir.join(program)).find(|candidate| candidate.is_file())
}

/// Says, loudly, that a test did not run because a peer is absent; a run of `make test` installs them all, and
/// with `WHERRY_REQUIRE_PEERS` set, as there, it is a failure.
#[track_caller]
pub fn require(program: &str) -> bool {
    if has(program) {
        return true;
    }
    assert!(std::env::var_os("WHERRY_REQUIRE_PEERS").is_none(), "{program} is not installed");
    eprintln!("NOT RUN: {program} is not installed");
    false
}

/// Where the programs of a newer Debian's containerd are unpacked by `interop/containerd`.
fn unpacked(variable: &str, version: &str) -> PathBuf {
    let peers = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/peers");
    let unpacked = || peers().join(format!("containerd-{version}/usr/bin"));
    std::env::var_os(variable).map_or_else(unpacked, PathBuf::from)
}

/// [`require`] for what is unpacked there.
#[track_caller]
fn require_unpacked(programs: &Path, version: &str) -> bool {
    let program = programs.join("containerd");
    if program.is_file() {
        return true;
    }
    assert!(
        std::env::var_os("WHERRY_REQUIRE_PEERS").is_none(),
        "{} is not there: run integration/interop/containerd {version}",
        program.display()
    );
    eprintln!("NOT RUN: {} is not there", program.display());
    false
}

/// Where the programs of Debian 13's containerd are.
pub fn containerd_1_7() -> PathBuf {
    unpacked("WHERRY_CONTAINERD_1_7", "1.7")
}

/// [`require`] for it.
#[track_caller]
pub fn require_containerd_1_7() -> bool {
    require_unpacked(&containerd_1_7(), "1.7")
}

/// Where the programs of containerd 2 are, of the Debian to come.
pub fn containerd_2() -> PathBuf {
    unpacked("WHERRY_CONTAINERD_2", "2")
}

/// [`require`] for it.
#[track_caller]
pub fn require_containerd_2() -> bool {
    require_unpacked(&containerd_2(), "2")
}

/// What `deploy/needs test` installs of npm, PyPI and crates.io, for the tests alone; said loudly if it is missing.
#[track_caller]
pub fn client(path: &str) -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/clients").join(path);
    if path.exists() {
        return Some(path);
    }
    assert!(
        std::env::var_os("WHERRY_REQUIRE_PEERS").is_none(),
        "{} is missing: deploy/needs test",
        path.display()
    );
    eprintln!("NOT RUN: {} is missing: deploy/needs test", path.display());
    None
}

/// Debian's docker-registry on a loopback port of its own.
pub struct Registry {
    daemon: Daemon,
    /// `localhost:PORT`.
    pub host: String,
}

impl Registry {
    /// Starts a registry that keeps its blobs below `dir`.
    pub fn start(dir: &Path) -> io::Result<Registry> {
        Registry::start_by(dir, |program, arguments| {
            let mut command = Command::new(program);
            command.args(arguments);
            command
        })
    }

    /// Starts it by the command that `make` makes of program and arguments, in a network of its own, say.
    pub fn start_by(dir: &Path, make: impl FnOnce(&str, &[&str]) -> Command) -> io::Result<Registry> {
        let port = free_port()?;
        let config = dir.join("registry.yml");
        std::fs::create_dir_all(dir.join("registry"))?;
        std::fs::write(
            &config,
            format!(
                "version: 0.1\nlog:\n  accesslog:\n    disabled: true\nstorage:\n  filesystem:\n    rootdirectory: {}\n  \
                 delete:\n    enabled: true\nhttp:\n  addr: 127.0.0.1:{port}\n",
                dir.join("registry").display()
            ),
        )?;
        let command = make("docker-registry", &["serve", &config.display().to_string()]);
        let daemon = Daemon::start(command, &dir.join("registry.log"))?;
        wait_for_word(&daemon, "listening on")?;
        Ok(Registry { daemon, host: format!("localhost:{port}") })
    }

    /// Copies the OCI layout in `layout` to `repository:tag` by skopeo.
    pub fn put(&self, layout: &Path, name_in_layout: &str, repository: &str) -> io::Result<()> {
        let source = format!("oci:{}:{name_in_layout}", layout.display());
        let destination = format!("docker://{}/{repository}", self.host);
        let output = Command::new("skopeo")
            .args(["copy", "-q", "--insecure-policy", "--preserve-digests", "--dest-tls-verify=false"])
            .args([source, destination])
            .output()?;
        match output.status.success() {
            true => Ok(()),
            false => Err(io::Error::other(String::from_utf8_lossy(&output.stderr).into_owned())),
        }
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        let _ = self.daemon.stop();
    }
}

/// A dockerd of the host's, with a containerd of its own, below `dir`; no bridge, no rules.
pub struct Dockerd {
    daemon: Daemon,
    dir: PathBuf,
}

impl Dockerd {
    /// Starts it with further `arguments` and waits until it answers.
    pub fn start(dir: &Path, arguments: &[&str]) -> io::Result<Dockerd> {
        Dockerd::launch(dir, Command::new("dockerd"), arguments)
    }

    /// Starts it in a network namespace of its own, with its default bridge and rules there.
    pub fn start_in_own_network(dir: &Path) -> io::Result<Dockerd> {
        let mut command = Command::new("unshare");
        command.args(["--net", "sh", "-c", "ip link set lo up && exec dockerd \"$@\"", "dockerd"]);
        Dockerd::launch(dir, command, &[])
    }

    fn launch(dir: &Path, mut command: Command, arguments: &[&str]) -> io::Result<Dockerd> {
        std::fs::create_dir_all(dir)?;
        command.arg("-H").arg(format!("unix://{}", dir.join("docker.sock").display()));
        for (flag, name) in [("--data-root", "data"), ("--exec-root", "exec"), ("--pidfile", "docker.pid")] {
            command.arg(flag).arg(dir.join(name));
        }
        command.args(arguments);
        let daemon = Daemon::start_ready(command, &dir.join("dockerd.log"))?;
        Ok(Dockerd { daemon, dir: dir.to_owned() })
    }

    /// Where it serves.
    pub fn docker_host(&self) -> String {
        format!("unix://{}", self.dir.join("docker.sock").display())
    }

    /// Its process.
    pub fn pid(&self) -> i32 {
        self.daemon.pid
    }
}

impl Drop for Dockerd {
    fn drop(&mut self) {
        let _ = self.daemon.stop();
    }
}

/// A port of 127.0.0.1 that nobody listens on now.
pub fn free_port() -> io::Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

/// Waits until a daemon's log has a word.
fn wait_for_word(daemon: &Daemon, word: &str) -> io::Result<()> {
    let started = Instant::now();
    // A peer that has no way to say that it is ready is looked at again and again.
    while !daemon.log_text().contains(word) {
        if started.elapsed() > Duration::from_secs(30) || !daemon.is_running() {
            return Err(io::Error::other(format!("no {word:?} in its log:\n{}", daemon.log_text())));
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    Ok(())
}
