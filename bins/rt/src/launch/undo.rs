//! Taking back a container that did not come to be.

use std::time::Duration;

use rustix::process::{Pid, WaitOptions, waitpid};

use super::group::{Group, stop_in_systemd};
use crate::container::Container;

/// Removes what was made, unless told to keep it.
#[derive(Debug)]
pub struct Undo<'a> {
    pub container: &'a Container,
    pub group: &'a Group,
    pub child: Option<Pid>,
    /// The class of service and monitoring group.
    pub shares: Option<resctrl::Group>,
    /// What the root lay on before, in a mount namespace that the container shares.
    pub shared_root: Option<u64>,
    pub armed: bool,
}

impl Drop for Undo<'_> {
    /// Goes on after each failure: there is nobody left to hear of it but the caller, who is
    /// about to get the failure that led here.
    fn drop(&mut self) {
        if !self.armed {
            return;
        }
        if let Some(pid) = self.child {
            let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
            let _ = waitpid(Some(pid), WaitOptions::empty());
        }
        if let Some(before) = self.shared_root
            && let Some(now) = rootfs::mount_id(&self.container.record.rootfs).filter(|now| *now != before)
        {
            rootfs::leave_shared(&self.container.record.rootfs, now);
        }
        let cgroup = self.group.whole();
        if cgroup.exists() {
            let _ = cgroup.kill_all();
            let _ = cgroup.wait_empty(Duration::from_secs(2));
            if let Some(scope) = &self.group.scope {
                let _ = stop_in_systemd(scope);
            }
            let _ = cgroup.remove();
        }
        if let Some(shares) = &self.shares {
            let _ = shares.remove();
        }
        let _ = self.container.remove_directory();
    }
}
