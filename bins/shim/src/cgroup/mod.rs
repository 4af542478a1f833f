//! A container's cgroup: its processes, what it uses, and when memory runs out.

mod metrics;

use cgroups::{Cgroup, Mode, OomEvent, OomWatch};
use containerd_api::{Any, pack};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::os::fd::{AsFd, OwnedFd};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// How long after its wake the kernel is looked to for its kill.
const KILLS: [Duration; 4] = [
    Duration::from_millis(1),
    Duration::from_millis(10),
    Duration::from_millis(50),
    Duration::from_millis(200),
];

/// The group of a container's init.
pub(crate) struct Group {
    cgroup: Cgroup,
    watch: Mutex<Option<OomWatch>>,
    /// The watch's descriptor, as the runtime waits for it.
    wake: Option<AsyncFd<OwnedFd>>,
}

impl Group {
    /// The group that a process is in. Without a memory controller nothing is told of memory.
    pub(crate) fn of(pid: i32) -> cgroups::Result<Group> {
        let cgroup = Cgroup::of_process(pid)?;
        let watch = cgroup.watch_oom().ok();
        let wake = watch.as_ref().and_then(|watch| {
            let fd = watch.as_fd().try_clone_to_owned().ok()?;
            // Deprecated for types that do not own their descriptor; this one does.
            #[allow(deprecated)]
            AsyncFd::with_interest(fd, Interest::READABLE).ok()
        });
        Ok(Group { cgroup, watch: Mutex::new(watch), wake })
    }

    /// All processes of the group and of those below it.
    pub(crate) fn pids(&self) -> cgroups::Result<Vec<i32>> {
        self.cgroup.all_processes()
    }

    /// What it uses, as the message of its kind.
    pub(crate) fn stats(&self) -> cgroups::Result<Any> {
        let stats = self.cgroup.stats()?;
        Ok(match self.cgroup.mode() {
            Mode::V2 => pack(&metrics::v2(&stats)),
            Mode::V1 | Mode::Hybrid => pack(&metrics::v1(&stats)),
        })
    }

    /// Resolves when memory ran out in the group; true if a process was killed that nobody was told of.
    pub(crate) async fn oom(&self) -> bool {
        let Some(wake) = &self.wake else { return std::future::pending().await };
        let Ok(mut ready) = wake.readable().await else { return std::future::pending().await };
        let event = self.look();
        let now = Timespec { tv_sec: 0, tv_nsec: 0 };
        if matches!(poll(&mut [PollFd::new(wake.get_ref(), PollFlags::IN)], Some(&now)), Ok(0)) {
            ready.clear_ready();
        }
        match event {
            Some(OomEvent::Killed(_)) => true,
            // v1 wakes before it kills, and for a victim that takes its time more than once: the count tells.
            Some(OomEvent::Nothing) => {
                for pause in KILLS {
                    tokio::time::sleep(pause).await;
                    if self.was_killed() {
                        return true;
                    }
                }
                false
            }
            // The group is gone, or cannot be read: nothing more will come.
            Some(OomEvent::Gone) | None => {
                *self.watch() = None;
                std::future::pending().await
            }
        }
    }

    /// Whether a process was killed for want of memory that nobody was told of.
    pub(crate) fn was_killed(&self) -> bool {
        matches!(self.look(), Some(OomEvent::Killed(_)))
    }

    fn look(&self) -> Option<OomEvent> {
        self.watch().as_mut().and_then(|watch| watch.drain().ok())
    }

    /// Looks for the last time: whether a process was killed that nobody was told of.
    pub(crate) fn last_oom(&self) -> bool {
        let watch = self.watch().take();
        watch.is_some_and(|mut watch| matches!(watch.drain(), Ok(OomEvent::Killed(_))))
    }

    fn watch(&self) -> MutexGuard<'_, Option<OomWatch>> {
        self.watch.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
