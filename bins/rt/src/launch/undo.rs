//! Taking back a container that did not come to be.

use std::time::Duration;

use cgroups::Cgroup;
use rustix::process::{Pid, WaitOptions, waitpid};

use crate::container::Container;

/// Removes what was made, unless told to keep it.
#[derive(Debug)]
pub struct Undo<'a> {
    pub container: &'a Container,
    pub cgroup: &'a Cgroup,
    pub child: Option<Pid>,
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
        if self.cgroup.exists() {
            let _ = self.cgroup.kill_all();
            let _ = self.cgroup.wait_empty(Duration::from_secs(2));
            let _ = self.cgroup.remove();
        }
        let _ = self.container.remove_directory();
    }
}
