//! Hooks (config.md#posix-platform-hooks).

use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, Write};
use std::os::fd::AsFd;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::Command;
use std::time::{Duration, Instant};

use runtime_spec::{Hook, State};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::MemfdFlags;
use rustix::process::{Pid, PidfdFlags, pidfd_open};

use crate::failure::{Failure, Tried};

/// Runs hooks in order, each with the state on stdin; the first that fails ends it.
///
/// `point` is the specification's name of the moment, for messages.
pub fn run_hooks(point: &str, hooks: &[Hook], state: &State) -> Result<(), Failure> {
    if hooks.is_empty() {
        return Ok(());
    }
    let text = serialized(state)?;
    hooks.iter().enumerate().try_for_each(|numbered| run_one(point, numbered, state, &text))
}

fn serialized(state: &State) -> Result<Vec<u8>, Failure> {
    serde_json::to_vec(state).map_err(|error| Failure::new(error.to_string()))
}

fn run_one(point: &str, (index, hook): (usize, &Hook), state: &State, text: &[u8]) -> Result<(), Failure> {
    run(hook, state, text).map_err(|failure| failure.within(&format!("error running {point} hook #{index}")))
}

/// The state to be read, in memory: a pipe would hold up the runtime where a hook does not read one
/// that is longer than a pipe holds.
fn input(text: &[u8]) -> Result<File, Failure> {
    let memory = rustix::fs::memfd_create("state", MemfdFlags::CLOEXEC).map(File::from);
    let mut memory = memory.tried("cannot keep the state")?;
    memory.write_all(text).and_then(|()| memory.rewind()).tried("cannot keep the state")?;
    Ok(memory)
}

/// Where a hook's output goes: the file that crun's annotation names, else memory, not a pipe: a
/// hook's own children may keep it open for ever.
fn output(state: &State, annotation: &str) -> Result<File, Failure> {
    match state.annotations.get(annotation) {
        Some(path) => {
            OpenOptions::new().create(true).append(true).read(true).open(path).tried(format!("open {path}"))
        }
        None => {
            rustix::fs::memfd_create("hook", MemfdFlags::CLOEXEC).map(File::from).tried("cannot keep output")
        }
    }
}

fn run(hook: &Hook, state: &State, text: &[u8]) -> Result<(), Failure> {
    let mut stdout = output(state, "run.oci.hooks.stdout")?;
    let mut stderr = output(state, "run.oci.hooks.stderr")?;
    let mut command = Command::new(&hook.path);
    if let Some((name, rest)) = hook.args.split_first() {
        command.arg0(name).args(rest);
    }
    command.env_clear();
    command.envs(hook.env.iter().filter_map(|entry| entry.split_once('=')));
    command.stdin(input(text)?);
    command.stdout(stdout.try_clone().tried("cannot keep output")?);
    command.stderr(stderr.try_clone().tried("cannot keep output")?);
    let mut child = command.spawn().tried(format!("fork/exec {}", hook.path))?;
    if let Some(seconds) = hook.timeout.filter(|seconds| *seconds > 0)
        && !wait_for(child.id() as i32, Duration::from_secs(seconds as u64))?
    {
        let _ = child.kill();
        let _ = child.wait();
        return Err(Failure::new(format!("hook ran past specified timeout of {seconds}s")));
    }
    let status = child.wait().tried("cannot wait for the hook")?;
    if status.success() {
        return Ok(());
    }
    let how = match status.code() {
        Some(code) => format!("exit status {code}"),
        None => format!("signal: {}", process::signal::described(status.signal().unwrap_or(0))),
    };
    let (out, err) = (content(&mut stdout), content(&mut stderr));
    Err(Failure::new(format!("{how}, stdout: {out}, stderr: {err}")))
}

/// Whether the process ended in time.
fn wait_for(pid: i32, limit: Duration) -> Result<bool, Failure> {
    let Some(pid) = Pid::from_raw(pid) else { return Ok(true) };
    let pidfd = pidfd_open(pid, PidfdFlags::empty()).tried("cannot watch the hook")?;
    let end = Instant::now() + limit;
    loop {
        let left = end.saturating_duration_since(Instant::now());
        let timeout = Timespec { tv_sec: left.as_secs() as i64, tv_nsec: i64::from(left.subsec_nanos()) };
        match poll(&mut [PollFd::from_borrowed_fd(pidfd.as_fd(), PollFlags::IN)], Some(&timeout)) {
            Err(rustix::io::Errno::INTR) => {}
            other => return Ok(other.tried("cannot watch the hook")? > 0),
        }
    }
}

fn content(file: &mut File) -> String {
    const SHOWN_MAX: u64 = 4096;
    let mut text = Vec::new();
    let _ = file.rewind();
    let _ = file.take(SHOWN_MAX).read_to_end(&mut text);
    String::from_utf8_lossy(&text).trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state() -> State {
        State {
            oci_version: "1.3.0".into(),
            id: "x".into(),
            status: runtime_spec::Status::Creating,
            pid: 1,
            bundle: "/b".into(),
            annotations: Default::default(),
        }
    }

    fn shell(script: &str, timeout: Option<i64>) -> Hook {
        Hook {
            path: "/bin/sh".into(),
            args: vec!["sh".into(), "-c".into(), script.into()],
            env: vec!["A=b".into()],
            timeout,
        }
    }

    #[test]
    fn the_state_is_on_stdin_and_the_environment_given() {
        run_hooks("p", &[shell("grep -q '\"id\":\"x\"' && test $A = b", None)], &state()).unwrap();
    }

    #[test]
    fn a_failure_tells_what_was_said() {
        let failure = run_hooks("p", &[shell("echo no >&2; exit 3", None)], &state()).unwrap_err();
        assert_eq!(failure.message, "error running p hook #0: exit status 3, stdout: , stderr: no");
    }

    #[test]
    fn a_hook_that_is_killed_is_told_of_as_in_runc() {
        let failure = run_hooks("p", &[shell("kill -SYS $$", None)], &state()).unwrap_err();
        assert_eq!(failure.message, "error running p hook #0: signal: bad system call, stdout: , stderr: ");
    }

    #[test]
    fn a_long_state_that_nobody_reads_holds_nothing_up() {
        let long = State { annotations: [("a".to_owned(), "x".repeat(1 << 20))].into(), ..state() };
        assert!(run_hooks("p", &[shell("exec sleep 60", Some(1))], &long).is_err());
        run_hooks("p", &[shell("true", None), shell("test $(wc -c) -gt 1048576", None)], &long).unwrap();
    }

    #[test]
    fn a_slow_hook_is_ended() {
        let started = Instant::now();
        assert!(run_hooks("p", &[shell("exec sleep 60", Some(1))], &state()).is_err());
        assert!(started.elapsed() < Duration::from_secs(20));
    }
}
