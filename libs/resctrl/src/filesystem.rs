//! The mounted filesystem.

use std::fs;
use std::path::{Path, PathBuf};

/// linux/magic.h.
const MAGIC: i64 = 0x0765_5821;
const USUAL_PLACE: &str = "/sys/fs/resctrl";

/// A mounted resctrl filesystem; its root is the default class.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resctrl {
    pub(crate) root: PathBuf,
}

impl Resctrl {
    /// Finds where it is mounted: in the usual place, else anywhere.
    pub fn find() -> Option<Resctrl> {
        // The kernel makes the directory where there is anything to mount.
        let found = rustix::fs::statfs(USUAL_PLACE).ok()?;
        if found.f_type == MAGIC {
            return Some(Resctrl::at(USUAL_PLACE));
        }
        let mounts = fs::read_to_string("/proc/self/mountinfo").ok()?;
        mounts.lines().find_map(mount_point).map(Resctrl::at)
    }

    /// The filesystem mounted at `root`.
    pub fn at(root: impl Into<PathBuf>) -> Resctrl {
        Resctrl { root: root.into() }
    }

    /// Whether the host shares out the resource of this directory below `info`, such as `L3` or
    /// `MB`.
    pub fn has(&self, resource: &str) -> bool {
        self.root.join("info").join(resource).exists()
    }

    /// What the kernel says of the last failure.
    pub(crate) fn status(&self) -> String {
        let text = fs::read_to_string(self.root.join("info/last_cmd_status")).unwrap_or_default();
        text.trim().to_owned()
    }
}

/// The place of a line of proc_pid_mountinfo(5), if that is a resctrl filesystem.
fn mount_point(line: &str) -> Option<&Path> {
    let (left, right) = line.split_once(" - ")?;
    (right.split(' ').next() == Some("resctrl")).then_some(())?;
    left.split(' ').nth(4).map(Path::new)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mount_is_found_among_others() {
        let other = "35 31 0:32 / /sys/fs/cgroup/memory rw,relatime shared:9 - cgroup cgroup rw,memory";
        let ours = "36 31 0:33 / /mnt/resctrl rw,relatime - resctrl resctrl rw";
        assert_eq!(mount_point(other), None);
        assert_eq!(mount_point(ours), Some(Path::new("/mnt/resctrl")));
        assert_eq!(mount_point(""), None);
    }
}
