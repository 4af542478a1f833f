//! `delete`: removes what a stopped container left.

use std::os::fd::AsFd;
use std::time::Duration;

use runtime_spec::Status;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, pidfd_open};

use super::{Command, Context};
use crate::container::{Container, Id};
use crate::failure::Failure;
use crate::launch;
use crate::words::{Grammar, Words, switch};

pub const COMMAND: Command = Command {
    grammar: Grammar {
        name: "delete",
        arguments: "<container-id>",
        about: "delete a container",
        least: 1,
        most: 1,
        options: &[&[
            switch("force", Some('f'), "kill the container first if it runs"),
            switch("regex", Some('r'), "the id is a regular expression that finds containers"),
        ]],
        ends_at_argument: false,
    },
    runs_foreign_code: false,
    run,
};

/// How long killed processes may take to go; a disk that hangs keeps them longer than any limit.
const PATIENCE: Duration = Duration::from_secs(10);

/// How long a program that runs may take to end before its container counts as one that is not stopped.
const GRACE: Duration = Duration::from_millis(100);

/// Whether init ends in time.
fn ends_within(container: &Container, limit: Duration) -> bool {
    let Some(pidfd) = container.init().and_then(|pid| pidfd_open(pid, PidfdFlags::empty()).ok()) else {
        return !container.is_alive();
    };
    let limit = Timespec { tv_sec: limit.as_secs() as i64, tv_nsec: i64::from(limit.subsec_nanos()) };
    let _ = poll(&mut [PollFd::from_borrowed_fd(pidfd.as_fd(), PollFlags::IN)], Some(&limit));
    !container.is_alive()
}

fn run(context: &Context<'_>, words: &Words) -> Result<i32, Failure> {
    let store = context.store();
    let force = words.has("force");
    if words.has("regex") {
        let found = store.matching(&words.arguments[0])?;
        super::each(&found, |container| delete(container, force))?;
        return Ok(0);
    }
    let container = match store.load(&words.arguments[0]) {
        Ok(container) => container,
        Err(failure) if force => {
            // Half made: a directory without a record, or nothing at all.
            let id = Id::parse(&words.arguments[0])?;
            let directory = store.directory(&id);
            if !directory.join("state.json").exists() {
                let _ = std::fs::remove_dir_all(directory);
                return Ok(0);
            }
            return Err(failure);
        }
        Err(failure) => return Err(failure),
    };
    delete(&container, force)?;
    Ok(0)
}

fn delete(container: &Container, force: bool) -> Result<(), Failure> {
    match container.status()? {
        Status::Stopped => {}
        Status::Created => kill(container)?,
        _ if force => kill(container)?,
        // Whoever starts and deletes at once knows runtimes that take longer than the program does.
        Status::Running if ends_within(container, GRACE) => {}
        other => {
            let (id, word) = (&container.record.id, other.word());
            return Err(Failure::new(format!("cannot delete container {id} that is not stopped: {word}")));
        }
    }
    destroy(container)
}

/// Kills init and waits until it is gone.
pub fn kill(container: &Container) -> Result<(), Failure> {
    let Some(pid) = Pid::from_raw(container.record.init_process_pid) else { return Ok(()) };
    let Ok(pidfd) = pidfd_open(pid, PidfdFlags::empty()) else { return Ok(()) };
    if !container.is_alive() {
        return Ok(());
    }
    let _ = syscalls::signals::kill_by_pidfd(pidfd.as_fd(), libc::SIGKILL);
    if container.is_frozen()? {
        container.cgroup().thaw()?;
    }
    let limit = Timespec { tv_sec: PATIENCE.as_secs() as i64, tv_nsec: 0 };
    let mut fds = [PollFd::from_borrowed_fd(pidfd.as_fd(), PollFlags::IN)];
    match poll(&mut fds, Some(&limit)) {
        Ok(1..) => Ok(()),
        _ => Err(Failure::new("container init still running")),
    }
}

/// Removes all that is left of a container whose init is gone: processes, cgroups, the record;
/// then runs the poststop hooks, of which one that fails ends it, as in every runtime. Goes on after a failure and tells of the first.
pub fn destroy(container: &Container) -> Result<(), Failure> {
    let cgroup = container.whole_cgroup();
    let mut first: Result<(), Failure> = Ok(());
    let mut note = |result: Result<(), Failure>| {
        if first.is_ok() {
            first = result;
        }
    };
    if container.record.scope.is_none() && cgroup.remove_empty() {
        // As it is where init was the parent of all others.
    } else if cgroup.exists() {
        // Without a pid namespace of its own its other processes outlive init.
        let left = cgroup.all_processes().map(|pids| !pids.is_empty()).unwrap_or(true);
        if left {
            note(cgroup.kill_all().map_err(Failure::from));
            note(cgroup.wait_empty(PATIENCE).map(drop).map_err(Failure::from));
        }
        if let Some(scope) = &container.record.scope {
            note(launch::stop_in_systemd(&scope.scope()));
        }
        note(cgroup.remove().map_err(Failure::from));
    }
    if let Some(shares) = &container.record.shares {
        note(shares.remove().map_err(Failure::from));
    }
    first?;
    if let Some(id) = container.record.shared_mount {
        rootfs::leave_shared(&container.record.rootfs, id);
    }
    container.remove_directory()?;
    let state = container.record.state(Status::Stopped);
    launch::run_hooks("poststop", &container.record.poststop, &state)
}
