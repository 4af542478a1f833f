//! Taking a cgroup away.

use std::path::Path;
use std::time::{Duration, Instant};

use rustix::io::Errno;

use crate::cgroup::Cgroup;
use crate::error::{Error, Result};
use crate::host::is_top;
use crate::processes::{list, tree};
use crate::wait::{self, Backoff};

/// How long processes that are on their way out may hold a group, over all hierarchies.
const LIMIT: Duration = Duration::from_secs(2);

impl Cgroup {
    /// Removes the group where nothing is in it any more, without asking first; false when
    /// something is, or anything else stands in the way, and [`Cgroup::remove`] has to see to it.
    pub fn remove_empty(&self) -> bool {
        self.dirs().all(|dir| rmdir(dir).is_ok())
    }

    /// Removes the group and the groups below it from every hierarchy; waits for processes that
    /// are exiting. Idempotent: what is gone already is no failure. Goes on after a failure and
    /// reports all of them together.
    ///
    /// Errors: [`Error::Busy`] with the pids when live processes remain: kill them first.
    pub fn remove(&self) -> Result<()> {
        let deadline = Instant::now() + LIMIT;
        let mut failures: Vec<Error> = self.dirs().filter_map(|dir| remove(dir, deadline).err()).collect();
        match failures.len() {
            0 => Ok(()),
            1 => Err(failures.remove(0)),
            _ => Err(Error::Several(failures)),
        }
    }
}

fn remove(dir: &Path, deadline: Instant) -> Result<()> {
    match rmdir(dir) {
        Ok(()) => return Ok(()),
        Err(Errno::BUSY | Errno::NOTEMPTY) => {}
        // A read-only cgroup mount answers so for a directory that is not there, too.
        Err(_) if !dir.exists() => return Ok(()),
        Err(e) => return Err(Error::path("remove", dir, e)),
    }
    if is_top(dir) {
        return Err(Error::path("remove", dir, Errno::BUSY));
    }
    let mut below = tree(dir)?;
    below.reverse();
    below.iter().try_for_each(|d| remove_waiting(d, deadline))
}

fn remove_waiting(dir: &Path, deadline: Instant) -> Result<()> {
    let left = || deadline.saturating_duration_since(Instant::now());
    let mut backoff = Backoff::new(left());
    loop {
        match rmdir(dir) {
            Ok(()) => return Ok(()),
            Err(Errno::BUSY) => {}
            Err(e) => return Err(Error::path("remove", dir, e)),
        }
        let pids = list(dir)?;
        let waited = pids.is_empty() || wait::exits(&pids, left());
        if !waited || !backoff.pause() {
            return Err(Error::Busy { path: dir.to_owned(), pids: list(dir)? });
        }
    }
}

fn rmdir(dir: &Path) -> std::result::Result<(), Errno> {
    match rustix::io::retry_on_intr(|| rustix::fs::rmdir(dir)) {
        Ok(()) | Err(Errno::NOENT) => Ok(()),
        Err(e) => Err(e),
    }
}
