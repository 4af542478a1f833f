//! Signalling every process of a cgroup.

use std::time::Duration;

use rustix::io::Errno;
use rustix::process::{Pid, Signal, kill_process};

use crate::cgroup::Cgroup;
use crate::error::{Error, Result};
use crate::file;
use crate::wait;

impl Cgroup {
    /// Sends SIGKILL to every process of the group and of the groups below, so that none can
    /// escape by forking. Does not wait for them to go; see [`Cgroup::wait_empty`].
    ///
    /// v2 uses `cgroup.kill` (Linux 5.14). Else the group is frozen, killed and thawed, and that
    /// is repeated until nothing new appears. A paused group is thawed by this.
    pub fn kill_all(&self) -> Result<()> {
        if let (true, Some(dir)) = (self.v1.is_empty(), &self.unified) {
            match file::write("cgroup", dir, "cgroup.kill", "1") {
                // cgroup.kill wakes frozen processes by itself.
                Ok(()) => return Ok(()),
                Err(e) if e.is_absent() && !dir.exists() => return Ok(()),
                Err(e) if e.is_absent() || e.is(Errno::OPNOTSUPP) => {}
                Err(e) => return Err(e),
            }
        }
        let mut before = Vec::new();
        loop {
            // Frozen processes do not fork: one round gets all. Where freezing fails, go on until
            // a round finds nobody new.
            let frozen = self.freeze().is_ok();
            let pids = self.all_processes();
            let killed = pids.as_deref().map(|pids| send(pids, Signal::KILL));
            // Whatever happened, never leave them frozen: on v1 they die when they are thawed.
            self.thaw_if_there()?;
            let (Ok(_), Ok(pids)) = (killed, &pids) else { return pids.map(drop) };
            if frozen || pids.iter().all(|pid| before.contains(pid)) {
                return Ok(());
            }
            before.clone_from(pids);
        }
    }

    /// Sends any signal to every process of the group and of the groups below,
    /// once; a paused group stays paused. Returns how many processes were signalled.
    ///
    /// SIGKILL that nobody may escape is [`Cgroup::kill_all`].
    pub fn signal_all(&self, signal: Signal) -> Result<usize> {
        Ok(send(&self.all_processes()?, signal))
    }

    /// Waits until the group and the groups below hold no process; false when time is up.
    pub fn wait_empty(&self, timeout: Duration) -> Result<bool> {
        if let (true, Some(dir)) = (self.v1.is_empty(), &self.unified) {
            return match wait::event(dir, "populated", 0, timeout) {
                Err(e) if e.is_absent() => Ok(true),
                other => other,
            };
        }
        let deadline = std::time::Instant::now() + timeout;
        loop {
            let pids = self.all_processes()?;
            if pids.is_empty() {
                return Ok(true);
            }
            let left = deadline.saturating_duration_since(std::time::Instant::now());
            if left.is_zero() || !wait::exits(&pids, left) {
                return Ok(false);
            }
        }
    }

    fn thaw_if_there(&self) -> Result<()> {
        match self.thaw() {
            // Gone, or a host without freezer: nothing is frozen.
            Err(e) if e.is_absent() || matches!(e, Error::NoController { .. }) => Ok(()),
            other => other,
        }
    }
}

/// Signals each; one that has gone meanwhile is no failure. Returns how many got it.
fn send(pids: &[i32], signal: Signal) -> usize {
    pids.iter().filter_map(|pid| Pid::from_raw(*pid)).filter(|pid| kill_process(*pid, signal).is_ok()).count()
}
