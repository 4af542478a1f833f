//! `kill`: sends a signal.

use runtime_spec::Status;
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open};
use std::os::fd::AsFd;

use super::{Command, Context};
use crate::container::Container;
use crate::failure::{Failure, Tried};
use crate::words::{Grammar, Words, switch};

pub const COMMAND: Command = Command {
    grammar: Grammar {
        name: "kill",
        arguments: "<container-id> [signal]",
        about: "send a signal (default: TERM) to the container's init",
        least: 1,
        most: 2,
        options: &[&[
            switch("all", Some('a'), "send the signal to all processes"),
            switch("regex", Some('r'), "the id is a regular expression that finds containers"),
        ]],
        ends_at_argument: false,
    },
    runs_foreign_code: false,
    run,
};

/// What callers match.
const NOT_RUNNING: &str = "container not running";

fn run(context: &Context<'_>, words: &Words) -> Result<i32, Failure> {
    let store = context.store();
    let found = match words.has("regex") {
        true => store.matching(&words.arguments[0])?,
        false => vec![store.load(&words.arguments[0])?],
    };
    let text = words.arguments.get(1).map_or("TERM", String::as_str);
    let number =
        process::signal::parse(text).ok_or_else(|| Failure::new(format!("unknown signal {text:?}")))?;
    super::each(&found, |container| signal(container, number, words.has("all")))?;
    Ok(0)
}

fn signal(container: &Container, number: i32, to_all: bool) -> Result<(), Failure> {
    let shares_pids = !container.record.has_namespace(namespaces::Kind::Pid);
    match to_all || (shares_pids && number == libc::SIGKILL) {
        true => signal_all(container, number),
        false => signal_init(container, number),
    }
}

/// Sends a signal to init alone.
pub fn signal_init(container: &Container, number: i32) -> Result<(), Failure> {
    let not_running = || Failure::new(NOT_RUNNING);
    let pid = Pid::from_raw(container.record.init_process_pid).ok_or_else(not_running)?;
    let pidfd = pidfd_open(pid, PidfdFlags::empty()).map_err(|_| not_running())?;
    // The descriptor holds one process; now see that it is the right one.
    if !container.is_alive() {
        return Err(not_running());
    }
    syscalls::signals::kill_by_pidfd(pidfd.as_fd(), number).tried("cannot send the signal")?;
    if number == libc::SIGKILL && container.status()? == Status::Paused {
        // A frozen v1 process dies when it thaws. That it is gone already is no failure.
        let _ = container.cgroup().thaw();
    }
    Ok(())
}

/// Sends a signal to every process; with none left that is no failure, as in runc.
fn signal_all(container: &Container, number: i32) -> Result<(), Failure> {
    let cgroup = container.cgroup();
    if number == libc::SIGKILL {
        return Ok(cgroup.kill_all()?);
    }
    if let Some(signal) = Signal::from_named_raw(number) {
        cgroup.signal_all(signal)?;
        return Ok(());
    }
    for pid in cgroup.all_processes()? {
        // Processes end while we go through them.
        let _ = syscalls::signals::kill(pid, number);
    }
    Ok(())
}
