//! Listing the processes of a cgroup.

use std::fs;
use std::path::{Path, PathBuf};

use rustix::io::Errno;

use crate::cgroup::Cgroup;
use crate::error::{Error, Result};
use crate::file;

impl Cgroup {
    /// Pids (of the caller's pid namespace) in this group itself. Empty when the group is gone.
    pub fn processes(&self) -> Result<Vec<i32>> {
        self.process_dir().map_or(Ok(Vec::new()), list)
    }

    /// Whether any process is in this group or below.
    pub fn is_used(&self) -> Result<bool> {
        match self.process_dir() {
            Some(top) if top.exists() => Ok(!self.all_processes()?.is_empty()),
            _ => Ok(false),
        }
    }

    /// Pids in this group and all groups below it, ascending, each once.
    pub fn all_processes(&self) -> Result<Vec<i32>> {
        let Some(top) = self.process_dir() else { return Ok(Vec::new()) };
        let mut pids = Vec::new();
        for dir in tree(top)? {
            pids.extend(list(&dir)?);
        }
        pids.sort_unstable();
        pids.dedup();
        Ok(pids)
    }
}

/// Pids in one directory. Processes of a foreign pid namespace read as 0 and are left out.
pub(crate) fn list(dir: &Path) -> Result<Vec<i32>> {
    let text = match file::read(dir, "cgroup.procs") {
        // A threaded v2 group has no process list, only one of threads.
        Err(e) if e.is(Errno::OPNOTSUPP) => file::read(dir, "cgroup.threads"),
        other => other,
    };
    let text = match text {
        Err(e) if e.is_absent() => return Ok(Vec::new()),
        other => other?,
    };
    Ok(text.lines().filter_map(|l| l.trim().parse().ok()).filter(|pid| *pid > 0).collect())
}

/// `top` and all directories below it, parents before children. Those that vanish are left out.
pub(crate) fn tree(top: &Path) -> Result<Vec<PathBuf>> {
    let mut all = vec![top.to_owned()];
    let mut next = 0;
    while next < all.len() {
        let entries = match fs::read_dir(&all[next]) {
            Ok(entries) => entries,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
                next += 1;
                continue;
            }
            Err(e) => return Err(Error::path("read", &all[next], e)),
        };
        for entry in entries.flatten() {
            if entry.file_type().is_ok_and(|t| t.is_dir()) {
                all.push(entry.path());
            }
        }
        next += 1;
    }
    Ok(all)
}
