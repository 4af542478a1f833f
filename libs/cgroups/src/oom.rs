//! Being told when the kernel kills a process of a cgroup for want of memory.

use std::fs::File;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::event::{EventfdFlags, eventfd};
use rustix::fs::inotify;
use rustix::io::Errno;

use crate::cgroup::Cgroup;
use crate::error::{Error, Result};
use crate::file;

/// A subscription to the out-of-memory events of one group.
///
/// Poll its descriptor for reading, then call [`OomWatch::drain`]. Dropping it unsubscribes.
#[derive(Debug)]
pub struct OomWatch {
    fd: OwnedFd,
    dir: PathBuf,
    kind: Kind,
    seen: u64,
}

#[derive(Debug)]
enum Kind {
    /// eventfd registered through cgroup.event_control; the control file must stay open.
    V1 { _control: File },
    /// inotify on memory.events.
    V2,
}

/// What a wake-up of an [`OomWatch`] meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OomEvent {
    /// So many new kills (at least one). Where v1 does not count them, or kills nobody, a wake-up is one.
    Killed(u64),
    /// Nobody was killed, or not yet: v1 wakes before it kills.
    Nothing,
    /// The group was removed: no more events will come.
    Gone,
}

impl Cgroup {
    /// Subscribes to this group's out-of-memory events.
    ///
    /// Errors: [`Error::NoController`] when the memory controller is not there.
    pub fn watch_oom(&self) -> Result<OomWatch> {
        if let Some(dir) = self.v1_path("memory") {
            return watch_v1(dir);
        }
        match &self.unified {
            Some(dir) if dir.join("memory.events").exists() => watch_v2(dir),
            _ => Err(Error::NoController { controller: "memory", field: "an out-of-memory watch" }),
        }
    }
}

/// cgroup-v1/memory.rst section 10: write "EVENTFD CONTROLFD" to cgroup.event_control.
fn watch_v1(dir: &Path) -> Result<OomWatch> {
    let path = dir.join("memory.oom_control");
    let control = File::open(&path).map_err(|e| Error::path("open", path, e))?;
    let flags = EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK;
    let fd = eventfd(0, flags).map_err(|e| Error::path("watch", dir, e))?;
    let registration = format!("{} {}", fd.as_raw_fd(), control.as_raw_fd());
    file::write("memory", dir, "cgroup.event_control", &registration)?;
    let seen = kills_v1(dir)?.unwrap_or(0);
    Ok(OomWatch { fd, dir: dir.to_owned(), kind: Kind::V1 { _control: control }, seen })
}

fn watch_v2(dir: &Path) -> Result<OomWatch> {
    let path = dir.join("memory.events");
    let flags = inotify::CreateFlags::CLOEXEC | inotify::CreateFlags::NONBLOCK;
    let fd = inotify::init(flags).map_err(|e| Error::path("watch", &path, e))?;
    inotify::add_watch(&fd, &path, inotify::WatchFlags::MODIFY | inotify::WatchFlags::DELETE_SELF)
        .map_err(|e| Error::path("watch", &path, e))?;
    // After the watch is set, so that nothing falls between.
    let seen = kills_v2(dir)?.unwrap_or(0);
    Ok(OomWatch { fd, dir: dir.to_owned(), kind: Kind::V2, seen })
}

impl OomWatch {
    /// Takes what is pending and says what it meant. Never blocks.
    pub fn drain(&mut self) -> Result<OomEvent> {
        let mut buffer = [0; 4096];
        let mut woken = false;
        loop {
            match rustix::io::read(&self.fd, &mut buffer) {
                Ok(0) | Err(Errno::AGAIN) => break,
                Ok(_) => woken = true,
                Err(Errno::INTR) => {}
                Err(e) => return Err(Error::path("read", &self.dir, e)),
            }
        }
        match self.kind {
            // Removing the group fires the eventfd once more.
            Kind::V1 { .. } if !self.dir.join("memory.oom_control").exists() => Ok(OomEvent::Gone),
            Kind::V1 { .. } => {
                let kills = kills_v1(&self.dir)?;
                let new = kills.map_or(u64::from(woken), |kills| {
                    kills.saturating_sub(std::mem::replace(&mut self.seen, kills))
                });
                Ok(if new > 0 { OomEvent::Killed(new) } else { OomEvent::Nothing })
            }
            Kind::V2 => match kills_v2(&self.dir)? {
                None => Ok(OomEvent::Gone),
                Some(kills) => {
                    let new = kills.saturating_sub(std::mem::replace(&mut self.seen, kills));
                    Ok(if new > 0 { OomEvent::Killed(new) } else { OomEvent::Nothing })
                }
            },
        }
    }
}

impl AsFd for OomWatch {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// The `oom_kill` counters of v1 (Linux 4.13), of the group and those below: each has its own. `None` when
/// there is none, or the killer is switched off.
fn kills_v1(dir: &Path) -> Result<Option<u64>> {
    let Some(text) = file::read_optional(dir, "memory.oom_control")? else { return Ok(Some(0)) };
    let of = |name: &str| file::flat_keyed(&text).find(|(key, _)| *key == name).map(|(_, value)| value);
    let Some(mut kills) = of("oom_kill").filter(|_| of("oom_kill_disable") != Some(1)) else {
        return Ok(None);
    };
    for entry in std::fs::read_dir(dir).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            // One that goes meanwhile has none.
            kills += kills_v1(&entry.path())?.unwrap_or(0);
        }
    }
    Ok(Some(kills))
}

fn kills_v2(dir: &Path) -> Result<Option<u64>> {
    let text = file::read_optional(dir, "memory.events")?;
    Ok(text.map(|t| file::flat_keyed(&t).find(|(k, _)| *k == "oom_kill").map_or(0, |(_, v)| v)))
}
