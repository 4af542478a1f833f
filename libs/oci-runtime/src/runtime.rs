//! The verbs as command lines, in runc's own order of flags.

use crate::log::{self, LogMark};
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A runtime binary with the flags that go before every verb.
#[derive(Clone, Debug)]
pub struct Runtime {
    /// A path, or a name to look up on PATH.
    pub binary: PathBuf,
    /// Where the runtime keeps its state.
    pub root: PathBuf,
    /// Where it logs, as JSON lines.
    pub log: PathBuf,
    /// Whether systemd makes the cgroups.
    pub systemd_cgroup: bool,
}

/// What `create` needs beside the id.
#[derive(Clone, Copy, Debug)]
pub struct Create<'a> {
    /// The directory of config.json.
    pub bundle: &'a Path,
    /// Where the runtime writes the pid.
    pub pid_file: &'a Path,
    /// The socket that takes the terminal's master.
    pub console_socket: Option<&'a Path>,
    /// Change the root without pivot_root(2).
    pub no_pivot: bool,
    /// Keep the session keyring.
    pub no_new_keyring: bool,
}

/// What `checkpoint` needs beside the id.
#[derive(Clone, Copy, Debug)]
pub struct Checkpoint<'a> {
    /// Where CRIU writes the images.
    pub image_path: &'a Path,
    /// Where CRIU works and logs.
    pub work_path: Option<&'a Path>,
    /// The images that these follow.
    pub parent_path: Option<&'a Path>,
    /// Whether the container runs on.
    pub leave_running: bool,
    /// CRIU's switches.
    pub tcp_established: bool,
    /// As above.
    pub ext_unix_sk: bool,
    /// As above.
    pub shell_job: bool,
    /// As above.
    pub file_locks: bool,
    /// Namespaces that are made anew at the restore.
    pub empty_namespaces: &'a [String],
    /// `soft`, `full`, `strict`, `ignore`; empty for CRIU's own.
    pub cgroups_mode: &'a str,
}

/// What `restore` needs beside what `create` does.
#[derive(Clone, Copy, Debug)]
pub struct Restore<'a> {
    /// As for create.
    pub create: Create<'a>,
    /// Where the images are.
    pub image_path: &'a Path,
    /// Where CRIU works and logs.
    pub work_path: Option<&'a Path>,
}

impl Runtime {
    /// Makes the container; its init waits for `start` with the standard streams given here.
    pub fn create(&self, id: &str, create: &Create<'_>) -> Command {
        let mut command = self.command("create");
        create_flags(&mut command, create);
        command.arg(id);
        command
    }

    /// Lets a created container run.
    pub fn start(&self, id: &str) -> Command {
        self.verb("start", id)
    }

    /// Signals init, or with `all` every process of the container.
    pub fn kill(&self, id: &str, signal: u32, all: bool) -> Command {
        let mut command = self.command("kill");
        if all {
            command.arg("--all");
        }
        command.arg(id).arg(signal.to_string());
        command
    }

    /// Removes a container; `force` kills it first.
    pub fn delete(&self, id: &str, force: bool) -> Command {
        let mut command = self.command("delete");
        if force {
            command.arg("--force");
        }
        command.arg(id);
        command
    }

    /// Starts the process described by the file (JSON, config.md#process) in a running container.
    pub fn exec(&self, id: &str, process: &Path, pid_file: &Path, console_socket: Option<&Path>) -> Command {
        let mut command = self.command("exec");
        command.arg("--process").arg(process);
        if let Some(socket) = console_socket {
            command.arg("--console-socket").arg(socket);
        }
        command.arg("--detach").arg("--pid-file").arg(pid_file).arg(id);
        command
    }

    /// Freezes the container.
    pub fn pause(&self, id: &str) -> Command {
        self.verb("pause", id)
    }

    /// Thaws it.
    pub fn resume(&self, id: &str) -> Command {
        self.verb("resume", id)
    }

    /// Changes limits; the resources (JSON, config-linux.md#control-groups) come on stdin.
    pub fn update(&self, id: &str) -> Command {
        let mut command = self.command("update");
        command.arg("--resources=-").arg(id);
        command
    }

    /// Writes the container's state to images.
    pub fn checkpoint(&self, id: &str, checkpoint: &Checkpoint<'_>) -> Command {
        let mut command = self.command("checkpoint");
        command.arg("--image-path").arg(checkpoint.image_path);
        if let Some(path) = checkpoint.work_path {
            command.arg("--work-path").arg(path);
        }
        if let Some(path) = checkpoint.parent_path {
            command.arg("--parent-path").arg(path);
        }
        let switches = [
            (checkpoint.leave_running, "--leave-running"),
            (checkpoint.tcp_established, "--tcp-established"),
            (checkpoint.ext_unix_sk, "--ext-unix-sk"),
            (checkpoint.shell_job, "--shell-job"),
            (checkpoint.file_locks, "--file-locks"),
        ];
        command.args(switches.iter().filter(|(on, _)| *on).map(|(_, flag)| flag));
        for namespace in checkpoint.empty_namespaces {
            command.arg("--empty-ns").arg(namespace);
        }
        if !checkpoint.cgroups_mode.is_empty() {
            command.arg("--manage-cgroups-mode").arg(checkpoint.cgroups_mode);
        }
        command.arg(id);
        command
    }

    /// Makes and runs the container from images.
    pub fn restore(&self, id: &str, restore: &Restore<'_>) -> Command {
        let mut command = self.command("restore");
        command.arg("--image-path").arg(restore.image_path);
        if let Some(path) = restore.work_path {
            command.arg("--work-path").arg(path);
        }
        command.arg("--detach");
        create_flags(&mut command, &restore.create);
        command.arg(id);
        command
    }

    /// Prints what the runtime can do (features.md), JSON.
    pub fn features(&self) -> Command {
        let mut command = Command::new(&self.binary);
        command.arg("features");
        command
    }

    /// Where the log ends now.
    pub fn log_mark(&self) -> LogMark {
        LogMark::of(&self.log)
    }

    /// The last error that was logged since `mark`.
    pub fn last_error(&self, mark: LogMark) -> io::Result<Option<String>> {
        log::last_error(&self.log, mark)
    }

    fn command(&self, verb: &str) -> Command {
        let mut command = Command::new(&self.binary);
        // A runtime takes this for a request to relay its container's readiness; whoever started us meant us.
        command.env_remove("NOTIFY_SOCKET");
        command.arg("--root").arg(&self.root).arg("--log").arg(&self.log).arg("--log-format").arg("json");
        if self.systemd_cgroup {
            command.arg("--systemd-cgroup");
        }
        command.arg(verb);
        command
    }

    fn verb(&self, verb: &str, id: &str) -> Command {
        let mut command = self.command(verb);
        command.arg(id);
        command
    }
}

fn create_flags(command: &mut Command, create: &Create<'_>) {
    command.arg("--bundle").arg(create.bundle).arg("--pid-file").arg(create.pid_file);
    if let Some(socket) = create.console_socket {
        command.arg("--console-socket").arg(socket);
    }
    if create.no_pivot {
        command.arg("--no-pivot");
    }
    if create.no_new_keyring {
        command.arg("--no-new-keyring");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(command: &Command) -> String {
        let words: Vec<_> = command.get_args().map(|arg| arg.to_str().unwrap()).collect();
        words.join(" ")
    }

    fn runtime(systemd_cgroup: bool) -> Runtime {
        Runtime { binary: "runc".into(), root: "/r".into(), log: "/b/log.json".into(), systemd_cgroup }
    }

    #[test]
    fn verbs_are_runcs() {
        let runtime = runtime(false);
        let create = Create {
            bundle: Path::new("/b"),
            pid_file: Path::new("/b/init.pid"),
            console_socket: Some(Path::new("/t/s")),
            no_pivot: true,
            no_new_keyring: false,
        };
        let base = "--root /r --log /b/log.json --log-format json";
        assert_eq!(
            words(&runtime.create("c", &create)),
            format!("{base} create --bundle /b --pid-file /b/init.pid --console-socket /t/s --no-pivot c")
        );
        assert_eq!(words(&runtime.kill("c", 9, true)), format!("{base} kill --all c 9"));
        assert_eq!(words(&runtime.delete("c", true)), format!("{base} delete --force c"));
        let exec = runtime.exec("c", Path::new("/p"), Path::new("/b/e.pid"), None);
        assert_eq!(words(&exec), format!("{base} exec --process /p --detach --pid-file /b/e.pid c"));
        assert_eq!(words(&runtime.update("c")), format!("{base} update --resources=- c"));
    }

    #[test]
    fn systemd_goes_before_the_verb() {
        assert!(words(&runtime(true).start("c")).ends_with("--log-format json --systemd-cgroup start c"));
    }
}
