//! Moving a process into a cgroup.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{Mode as FileMode, OFlags};
use rustix::io::Errno;

use crate::cgroup::Cgroup;
use crate::error::{Error, Result};
use crate::file;
use crate::host::Mode;

/// Open descriptors through which a process moves itself into a cgroup.
///
/// Made by the parent, used by the child: the child needs no path, so it works after chroot, in
/// another mount namespace and without the right to open the files. All close on exec.
#[derive(Debug)]
pub struct Join {
    tasks: Vec<(PathBuf, File)>,
    unified: Option<Unified>,
}

#[derive(Debug)]
struct Unified {
    dir: OwnedFd,
    path: PathBuf,
    /// None where the process is always cloned into the group.
    procs: Option<File>,
    /// Used when the group refuses processes because it has controllers enabled below (EBUSY).
    fallback: Option<(PathBuf, File)>,
}

/// How the child gets into the unified hierarchy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UnifiedBy {
    /// It was cloned there: CLONE_INTO_CGROUP with [`Join::clone_into`].
    Clone,
    /// [`Join::enter`] writes `cgroup.procs`. Costs an RCU grace period (about 10 ms) when cold.
    Write,
}

impl Cgroup {
    /// Opens what a new process needs to enter this group, the unified hierarchy by
    /// [`UnifiedBy::Clone`].
    pub fn join(&self) -> Result<Join> {
        let mut tasks = Vec::with_capacity(self.v1.len());
        for dir in &self.v1 {
            tasks.push(open_for_write(&dir.path, "tasks")?);
        }
        let unified = self.unified.as_deref().map(Unified::for_clone).transpose()?;
        Ok(Join { tasks, unified })
    }

    /// As [`Cgroup::join`], by either way into the unified hierarchy.
    pub fn join_either(&self) -> Result<Join> {
        let unified = self.unified.as_deref().map(|path| Unified::open(path, None)).transpose()?;
        Ok(Join { unified, ..Cgroup { v1: self.v1.clone(), unified: None }.join()? })
    }

    /// As [`Cgroup::join`], for an exec: when the container has enabled controllers below its own
    /// v2 group, that group takes no process any more, and the group in which its init lives now
    /// is used instead.
    pub fn join_beside(&self, init_pid: i32) -> Result<Join> {
        let mut join = Cgroup { v1: self.v1.clone(), unified: None }.join()?;
        let Some(path) = self.unified.as_deref() else { return Ok(join) };
        let divided = file::read_optional(path, "cgroup.subtree_control")?
            .is_some_and(|enabled| !enabled.trim().is_empty());
        let init = Cgroup::of_process(init_pid)?.unified;
        let unified = match init {
            Some(init) if divided || !path.exists() => Unified::open(&init, None)?,
            init => Unified::open(path, init.as_deref())?,
        };
        join.unified = Some(unified);
        Ok(join)
    }

    /// Moves another process, with all its threads, into every hierarchy of this group.
    ///
    /// Costs an RCU grace period per v1 hierarchy when cold; [`Join::enter`] does not.
    pub fn add_process(&self, pid: i32) -> Result<()> {
        for dir in self.dirs() {
            file::write("cgroup", dir, "cgroup.procs", &pid.to_string())?;
        }
        Ok(())
    }
}

impl Unified {
    fn for_clone(path: &Path) -> Result<Unified> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let dir =
            rustix::fs::open(path, flags, FileMode::empty()).map_err(|e| Error::path("open", path, e))?;
        Ok(Unified { dir, path: path.join("cgroup.procs"), procs: None, fallback: None })
    }

    fn open(path: &Path, fallback: Option<&Path>) -> Result<Unified> {
        let (_, procs) = open_for_write(path, "cgroup.procs")?;
        let fallback = fallback.map(|f| open_for_write(f, "cgroup.procs")).transpose()?;
        Ok(Unified { procs: Some(procs), fallback, ..Unified::for_clone(path)? })
    }

    fn enter(&self) -> Result<()> {
        let Some(procs) = &self.procs else {
            return Err(Error::Unsupported("cannot enter a cgroup that is entered by clone alone"));
        };
        match (put_self(&self.path, procs), &self.fallback) {
            (Err(e), Some((path, procs))) if e.is(Errno::BUSY) => put_self(path, procs),
            (result, _) => result,
        }
    }
}

impl Join {
    /// The directory to hand to clone3(2) with CLONE_INTO_CGROUP (Linux 5.7): on v2 and hybrid.
    ///
    /// When clone3 fails with EBUSY, clone without it and enter by [`UnifiedBy::Write`].
    pub fn clone_into(&self) -> Option<BorrowedFd<'_>> {
        self.unified.as_ref().map(|u| u.dir.as_fd())
    }

    /// Moves the calling thread, which must be its process' only one.
    ///
    /// On v1 by writing 0 to `tasks`: unlike a write of a pid to `cgroup.procs` that takes no
    /// system-wide lock.
    pub fn enter(&self, unified: UnifiedBy) -> Result<()> {
        for (path, file) in &self.tasks {
            put_self(path, file)?;
        }
        match &self.unified {
            Some(u) if unified == UnifiedBy::Write => u.enter(),
            _ => Ok(()),
        }
    }

    /// All descriptors, for a caller that closes every other one.
    pub fn fds(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        let unified = self.unified.iter().flat_map(|u| {
            [u.dir.as_fd()]
                .into_iter()
                .chain(u.procs.as_ref().map(File::as_fd))
                .chain(u.fallback.as_ref().map(|(_, f)| f.as_fd()))
        });
        self.tasks.iter().map(|(_, f)| f.as_fd()).chain(unified)
    }
}

impl Cgroup {
    /// True when a process enters this group by clone3 alone (pure v2).
    pub fn enters_by_clone(&self) -> bool {
        self.mode() == Mode::V2
    }
}

fn open_for_write(dir: &Path, name: &str) -> Result<(PathBuf, File)> {
    let path = dir.join(name);
    let file = OpenOptions::new().write(true).open(&path).map_err(|e| Error::path("open", &path, e))?;
    Ok((path, file))
}

fn put_self(path: &Path, mut file: &File) -> Result<()> {
    file.write_all(b"0").map_err(|source| Error::Write {
        controller: "cgroup",
        path: path.to_owned(),
        value: "0".into(),
        source,
    })
}
