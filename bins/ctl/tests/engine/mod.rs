//! A stock dockerd of our own, with one small image, and ctl speaking to it.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

const READY_WITHIN: Duration = Duration::from_secs(60);
const BUSYBOX: &str = "/bin/busybox";
const APPLETS: &[&str] = &["sh", "echo", "cat", "true", "sleep", "id", "pwd", "kill", "seq"];

/// A running dockerd; its end removes all it made.
pub struct Engine {
    daemon: Child,
    root: tempfile::TempDir,
}

/// What a command printed, and its exit code.
#[derive(Debug, PartialEq, Eq)]
pub struct Ran {
    pub code: i32,
    pub out: String,
    pub err: String,
}

impl From<Output> for Ran {
    fn from(output: Output) -> Self {
        Self {
            code: output.status.code().unwrap_or(-1),
            out: String::from_utf8_lossy(&output.stdout).into_owned(),
            err: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }
}

/// Whether this machine can run the tests; says loudly what is missing.
pub fn is_available() -> bool {
    let on_path = |name: &str| {
        std::env::var_os("PATH")
            .is_some_and(|path| std::env::split_paths(&path).any(|folder| folder.join(name).exists()))
    };
    let missing: Vec<&str> =
        ["dockerd", "containerd", "runc"].into_iter().filter(|name| !on_path(name)).collect();
    if missing.is_empty() && Path::new(BUSYBOX).exists() {
        return true;
    }
    eprintln!(
        "SKIPPED: ctl on a stock dockerd is NOT tested: install docker.io and busybox-static (missing: {missing:?})"
    );
    false
}

impl Engine {
    /// Starts dockerd and imports the image `busybox`.
    pub fn start() -> Self {
        let root = tempfile::tempdir().expect("a temporary directory");
        let log = File::create(root.path().join("log")).expect("a log file");
        let path = |name: &str| root.path().join(name);
        let daemon = Command::new("dockerd")
            .arg("-H")
            .arg(format!("unix://{}", path("docker.sock").display()))
            .arg("--data-root")
            .arg(path("data"))
            .arg("--exec-root")
            .arg(path("exec"))
            .arg("--pidfile")
            .arg(path("pid"))
            .args(["--bridge=none", "--iptables=false"])
            .stdout(log.try_clone().expect("a second handle"))
            .stderr(log)
            .spawn()
            .expect("dockerd starts");
        let engine = Self { daemon, root };
        let began = Instant::now();
        while engine.ctl(&["version"]).code != 0 {
            let log = || std::fs::read_to_string(engine.path("log")).unwrap_or_default();
            assert!(began.elapsed() < READY_WITHIN, "dockerd is not ready: {}", log());
            std::thread::sleep(Duration::from_millis(50));
        }
        engine.import();
        engine
    }

    fn import(&self) {
        let archive = self.path("busybox.tar");
        let mut builder = tar::Builder::new(File::create(&archive).expect("an archive"));
        builder.append_path_with_name(BUSYBOX, "bin/busybox").expect("busybox is readable");
        for applet in APPLETS {
            let mut header = tar::Header::new_gnu();
            header.set_entry_type(tar::EntryType::Symlink);
            header.set_size(0);
            header.set_mode(0o777);
            builder.append_link(&mut header, format!("bin/{applet}"), "busybox").expect("a link");
        }
        builder.into_inner().and_then(|mut file| file.flush()).expect("the archive ends");
        let ran = self.ctl(&["import", archive.to_str().expect("a plain path"), "busybox"]);
        assert_eq!(ran.code, 0, "{ran:?}");
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.root.path().join(name)
    }

    /// A prepared command of ctl, by whatever name.
    pub fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command
            .env("DOCKER_HOST", format!("unix://{}", self.path("docker.sock").display()))
            .env("DOCKER_CONFIG", self.path("config"))
            .env_remove("DOCKER_CONTEXT")
            .stdin(Stdio::null());
        command
    }

    pub fn ctl(&self, words: &[&str]) -> Ran {
        self.command(env!("CARGO_BIN_EXE_ctl")).args(words).output().expect("ctl runs").into()
    }

    /// With `input` on stdin.
    pub fn ctl_fed(&self, words: &[&str], input: &str) -> Ran {
        let mut command = self.command(env!("CARGO_BIN_EXE_ctl"));
        let mut child = command
            .args(words)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("ctl runs");
        child.stdin.take().expect("a pipe").write_all(input.as_bytes()).expect("ctl reads");
        child.wait_with_output().expect("ctl ends").into()
    }

    /// Must succeed; gives stdout.
    pub fn ok(&self, words: &[&str]) -> String {
        let ran = self.ctl(words);
        assert_eq!(ran.code, 0, "{words:?}: {ran:?}");
        ran.out
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        for id in self.ctl(&["ps", "-aq"]).out.lines() {
            self.ctl(&["rm", "-f", id]);
        }
        // SIGTERM, so that dockerd unmounts and stops its containerd.
        let _ = Command::new("kill").arg(self.daemon.id().to_string()).status();
        let _ = self.daemon.wait();
    }
}
