//! A bundle with a busybox in a directory of its own, and the runtime called on it.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use serde_json::{Value, json};

const APPLETS: &[&str] = &[
    "sh", "ls", "cat", "true", "false", "sleep", "id", "mount", "echo", "pwd", "hostname", "touch", "mkdir",
    "grep", "tty", "stty", "kill", "head", "dd", "readlink", "wc", "env", "test", "ps",
];

/// The runtime under test: WHERRY_RT where the tests run on another machine than they were built on.
pub fn runtime() -> PathBuf {
    std::env::var_os("WHERRY_RT").map_or_else(|| env!("CARGO_BIN_EXE_rt").into(), PathBuf::from)
}

/// Whether the host has the unified hierarchy alone.
pub fn is_v2() -> bool {
    Path::new("/sys/fs/cgroup/cgroup.controllers").exists()
}

/// Whether the kernel limits memory by group: newer ones have no v1 hierarchy for it.
pub fn limits_memory() -> bool {
    is_v2() || Path::new("/sys/fs/cgroup/memory/memory.limit_in_bytes").exists()
}

/// One bundle and its one container.
pub struct Bundle {
    pub directory: tempfile::TempDir,
    pub id: String,
    pub spec: Value,
}

/// What a call of the runtime gave.
#[derive(Debug)]
pub struct Answer {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

impl Answer {
    pub fn ok(self) -> String {
        assert_eq!(self.code, 0, "{self:?}");
        self.stdout
    }

    /// Fails with this text in what was said.
    pub fn fails(self, code: i32, text: &str) {
        assert_eq!(self.code, code, "{self:?}");
        assert!(self.stderr.contains(text), "{text:?} is not in {self:?}");
    }
}

impl Bundle {
    /// A bundle whose program is `args`.
    pub fn new(args: &[&str]) -> Bundle {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let id = format!("rt-test-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let directory = tempfile::tempdir().unwrap();
        let rootfs = directory.path().join("rootfs");
        for name in ["bin", "proc", "sys", "dev", "etc", "tmp", "mnt"] {
            fs::create_dir_all(rootfs.join(name)).unwrap();
        }
        copy_program("/bin/busybox", rootfs.join("bin/busybox"));
        for applet in APPLETS {
            symlink("busybox", rootfs.join("bin").join(applet)).unwrap();
        }
        let mut bundle = Bundle { directory, id, spec: Value::Null };
        bundle.rt(&["spec", "--bundle", bundle.path().to_str().unwrap()]).ok();
        let text = fs::read(bundle.path().join("config.json")).unwrap();
        bundle.spec = serde_json::from_slice(&text).unwrap();
        bundle.spec["process"]["terminal"] = json!(false);
        // On v1 the template has none.
        let namespaces = bundle.spec["linux"]["namespaces"].as_array_mut().unwrap();
        if !namespaces.contains(&json!({"type": "cgroup"})) {
            namespaces.push(json!({"type": "cgroup"}));
        }
        bundle.spec["process"]["args"] = json!(args);
        bundle.spec["root"]["readonly"] = json!(false);
        bundle.write();
        bundle
    }

    /// A bundle whose program is a script.
    pub fn script(text: &str) -> Bundle {
        Bundle::new(&["sh", "-c", text])
    }

    pub fn path(&self) -> &Path {
        self.directory.path()
    }

    pub fn rootfs(&self) -> PathBuf {
        self.path().join("rootfs")
    }

    pub fn root(&self) -> PathBuf {
        self.path().join("state")
    }

    /// Changes the configuration.
    pub fn with(mut self, change: impl FnOnce(&mut Value)) -> Bundle {
        change(&mut self.spec);
        self.write();
        self
    }

    fn write(&self) {
        let text = serde_json::to_vec(&self.spec).unwrap();
        fs::write(self.path().join("config.json"), text).unwrap();
    }

    /// The runtime with these words, to be run.
    pub fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(runtime());
        // Such as --systemd-cgroup.
        let flags = std::env::var("WHERRY_RT_FLAGS").unwrap_or_default();
        command.args(flags.split_whitespace()).arg("--root").arg(self.root()).args(words);
        command.current_dir(self.path()).stdin(Stdio::null());
        command
    }

    pub fn rt(&self, words: &[&str]) -> Answer {
        answer(self.command(words).output().unwrap())
    }

    /// The runtime with a command on this container.
    pub fn on(&self, command: &str, words: &[&str]) -> Answer {
        let mut all = vec![command];
        all.push(&self.id);
        all.extend(words);
        self.rt(&all)
    }

    /// `run` to the end.
    pub fn run(&self) -> Answer {
        self.rt(&["run", &self.id])
    }

    /// `run --detach`, without a pipe that the container would hold open.
    pub fn run_detached(&self) {
        let mut command = self.command(&["run", "--detach", &self.id]);
        let status = command.stdout(Stdio::null()).stderr(Stdio::null()).status().unwrap();
        assert!(status.success());
    }

    /// `create`, likewise.
    pub fn create(&self) {
        let mut command = self.command(&["create", &self.id]);
        let status = command.stdout(Stdio::null()).stderr(Stdio::null()).status().unwrap();
        assert!(status.success());
    }

    pub fn state(&self) -> Value {
        serde_json::from_str(&self.on("state", &[]).ok()).unwrap()
    }

    /// Waits until the status is `wanted`.
    pub fn await_status(&self, wanted: &str) {
        for _ in 0..500 {
            if self.state()["status"] == wanted {
                return;
            }
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
        panic!("never {wanted}: {}", self.state());
    }

    /// Every directory of this container's cgroup.
    pub fn cgroups(&self) -> Vec<PathBuf> {
        let mut found = Vec::new();
        collect(Path::new("/sys/fs/cgroup"), &self.id, 4, &mut found);
        found
    }

    /// The value of a limit file of one controller, by its names in v1 and v2.
    pub fn limit(&self, controller: &str, v1: &str, v2: &str) -> String {
        let (top, file) = match is_v2() {
            true => (PathBuf::from("/sys/fs/cgroup"), v2),
            false => (Path::new("/sys/fs/cgroup").join(controller), v1),
        };
        let directory = self.cgroups().into_iter().find(|path| path.starts_with(&top)).unwrap();
        fs::read_to_string(directory.join(file)).unwrap().trim().to_owned()
    }

    /// Nothing of the container is left.
    pub fn assert_clean(&self) {
        assert_eq!(self.cgroups(), Vec::<PathBuf>::new());
        assert!(!self.root().join(&self.id).exists());
        let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();
        assert!(!mounts.contains(self.path().to_str().unwrap()), "{mounts}");
    }
}

fn collect(directory: &Path, name: &str, depth: u32, found: &mut Vec<PathBuf>) {
    let Ok(entries) = fs::read_dir(directory) else { return };
    for entry in entries.flatten().filter(|entry| entry.path().is_dir()) {
        let found_name = entry.file_name().to_string_lossy().into_owned();
        if found_name == name || found_name == format!("runc-{name}.scope") {
            found.push(entry.path());
        } else if depth > 0 {
            collect(&entry.path(), name, depth - 1, found);
        }
    }
}

pub fn answer(output: Output) -> Answer {
    Answer {
        code: output.status.code().unwrap_or(-1),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

impl Drop for Bundle {
    fn drop(&mut self) {
        let _ = self.on("delete", &["--force"]);
    }
}

/// Copies a program by a child process: a descriptor for writing that another thread's child had inherited would
/// make the kernel refuse to run it ("text file busy").
pub fn copy_program(from: impl AsRef<std::path::Path>, to: impl AsRef<std::path::Path>) {
    let copied = std::process::Command::new("cp").arg(from.as_ref()).arg(to.as_ref()).status().unwrap();
    assert!(copied.success());
}
