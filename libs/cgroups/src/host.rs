//! Which cgroup hierarchies this host has, and where the caller stands in them.

use std::path::{Path, PathBuf};

use crate::error::{Error, Result};

/// How the host's hierarchies are laid out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Only v1 hierarchies.
    V1,
    /// Only the unified hierarchy.
    V2,
    /// v1 hierarchies with controllers, and the unified hierarchy beside them.
    Hybrid,
}

/// One mounted hierarchy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hierarchy {
    /// v1 controllers ("cpu", "cpuacct") or the name ("name=systemd"); empty for the unified one.
    pub controllers: Vec<String>,
    /// Where it is mounted.
    pub mount_point: PathBuf,
    /// The caller's own directory below the mount point.
    pub own: PathBuf,
}

/// The cgroup hierarchies of this host as the calling process sees them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Host {
    pub mode: Mode,
    /// v1 hierarchies, controllers first seen first; empty on v2.
    pub v1: Vec<Hierarchy>,
    pub unified: Option<Hierarchy>,
}

impl Host {
    /// Reads /proc/self/cgroup, and /proc/self/mountinfo where a hierarchy is not in its usual
    /// place: every container makes that file longer.
    ///
    /// Errors: [`Error::NotMounted`] when no cgroup file system is mounted.
    pub fn detect() -> Result<Host> {
        Host::of_process("self")
    }

    /// As [`Host::detect`], with `own` being the cgroups of another process ("self" or a pid).
    /// Mount points are still those of the caller.
    pub fn of_process(pid: &str) -> Result<Host> {
        let read =
            |path: String| crate::file::text(Path::new(&path)).map_err(|e| Error::path("read", path, e));
        let groups = read(format!("/proc/{pid}/cgroup"))?;
        match usual_mounts(Path::new(USUAL_PLACE), &groups) {
            Some(mounts) => Host::assemble(&mounts, &groups),
            None => Host::parse(&read("/proc/self/mountinfo".into())?, &groups),
        }
    }

    /// The pure part: the texts of a mountinfo file (proc_pid_mountinfo(5)) and of a cgroup file
    /// (cgroups(7)).
    pub fn parse(mountinfo: &str, groups: &str) -> Result<Host> {
        let mounts: Vec<Mount> = mountinfo.lines().filter_map(Mount::parse).collect();
        Host::assemble(&mounts, groups)
    }

    fn assemble(mounts: &[Mount], groups: &str) -> Result<Host> {
        let mut v1 = Vec::new();
        let mut unified = None;
        for line in groups.lines() {
            let mut parts = line.splitn(3, ':');
            let (Some(id), Some(names), Some(own)) = (parts.next(), parts.next(), parts.next()) else {
                continue;
            };
            if id == "0" && names.is_empty() {
                if let Some(mount) = mounts.iter().find(|m| m.unified) {
                    unified = Some(mount.hierarchy(Vec::new(), own));
                }
                continue;
            }
            let names: Vec<String> = names.split(',').map(str::to_owned).collect();
            if let Some(mount) = mounts.iter().find(|m| !m.unified && m.has(&names[0])) {
                v1.push(mount.hierarchy(names, own));
            }
        }
        let controlled = v1.iter().any(|h| {
            h.controllers.iter().any(|c| matches!(c.as_str(), "memory" | "cpu" | "pids" | "devices"))
        });
        let mode = match (controlled, &unified) {
            (_, None) if v1.is_empty() => return Err(Error::NotMounted),
            (_, None) => Mode::V1,
            (true, Some(_)) => Mode::Hybrid,
            // A lone named or net_cls hierarchy beside v2 does not make the host v1.
            (false, Some(_)) => {
                v1.clear();
                Mode::V2
            }
        };
        v1.sort_by(|a, b| a.controllers.cmp(&b.controllers));
        Ok(Host { mode, v1, unified })
    }
}

/// Where file systems of cgroups are mounted as a rule (file-hierarchy(7), cgroups(7)).
const USUAL_PLACE: &str = "/sys/fs/cgroup";
// linux/magic.h.
const CGROUP_MAGIC: i64 = 0x0027_e0eb;
const CGROUP2_MAGIC: i64 = 0x6367_7270;

/// The mounts of all hierarchies that `groups` names, if each is whole and in its usual place.
fn usual_mounts(place: &Path, groups: &str) -> Option<Vec<Mount>> {
    groups
        .lines()
        .map(|line| {
            let (id, rest) = line.split_once(':')?;
            let (names, _) = rest.split_once(':')?;
            let unified = id == "0" && names.is_empty();
            let magic = if unified { CGROUP2_MAGIC } else { CGROUP_MAGIC };
            let point = match unified {
                true if is_whole(place, magic) => place.to_owned(),
                true => place.join("unified"),
                false => place.join(names.strip_prefix("name=").unwrap_or(names)),
            };
            let options = names.split(',').map(str::to_owned).collect();
            is_whole(&point, magic).then(|| Mount { unified, root: "/".to_owned(), point, options })
        })
        .collect()
}

/// Whether the root of a hierarchy of this kind is mounted there: its directory is the first inode.
fn is_whole(point: &Path, magic: i64) -> bool {
    let is_kind = rustix::fs::statfs(point).is_ok_and(|found| found.f_type == magic);
    is_kind && rustix::fs::stat(point).is_ok_and(|found| found.st_ino == 1)
}

/// What mountinfo tells of one cgroup mount.
struct Mount {
    unified: bool,
    root: String,
    point: PathBuf,
    options: Vec<String>,
}

impl Mount {
    fn parse(line: &str) -> Option<Mount> {
        let (left, right) = line.split_once(" - ")?;
        let mut right = right.split(' ');
        let unified = match right.next()? {
            "cgroup" => false,
            "cgroup2" => true,
            _ => return None,
        };
        let options = right.nth(1)?.split(',').map(str::to_owned).collect();
        let mut left = left.split(' ').skip(3);
        Some(Mount {
            unified,
            root: unescape(left.next()?),
            point: PathBuf::from(unescape(left.next()?)),
            options,
        })
    }

    fn has(&self, controller: &str) -> bool {
        self.options.iter().any(|o| o == controller)
    }

    fn hierarchy(&self, controllers: Vec<String>, own: &str) -> Hierarchy {
        // A mount made outside of our cgroup namespace shows a root such as "/../..": then the
        // mount point itself is the best place we can name.
        let below = if self.root == "/" { Some(own) } else { own.strip_prefix(&self.root) };
        let own = self.point.join(below.unwrap_or("").trim_start_matches('/'));
        let own = if own.components().any(|c| c.as_os_str() == "..") { self.point.clone() } else { own };
        Hierarchy { controllers, mount_point: self.point.clone(), own }
    }
}

/// Undoes the octal escapes of mountinfo (space, tab, newline, backslash).
fn unescape(text: &str) -> String {
    let mut out = Vec::with_capacity(text.len());
    let bytes = text.as_bytes();
    let mut i = 0;
    while i < bytes.len() {
        let octal = (bytes[i] == b'\\')
            .then(|| text.get(i + 1..i + 4))
            .flatten()
            .and_then(|digits| u8::from_str_radix(digits, 8).ok());
        match octal {
            Some(byte) => {
                out.push(byte);
                i += 4;
            }
            None => {
                out.push(bytes[i]);
                i += 1;
            }
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

/// Resolves `.` and `..` in a cgroup path by its letters, never above the top; no leading slash.
pub(crate) fn clean(path: &str) -> PathBuf {
    let mut out = PathBuf::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                out.pop();
            }
            name => out.push(name),
        }
    }
    out
}

/// True for the top directory of a hierarchy, which is never ours to remove.
pub(crate) fn is_top(dir: &Path) -> bool {
    dir.join("release_agent").exists()
        || (dir.join("cgroup.controllers").exists() && !dir.join("cgroup.type").exists())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const HYBRID: &str = "\
31 23 0:28 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755
32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw,relatime shared:9 - cgroup cgroup rw,cpu,cpuacct
35 31 0:32 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory
40 31 0:37 / /sys/fs/cgroup/systemd rw,relatime - cgroup cgroup rw,xattr,name=systemd
41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw,nsdelegate
";
    const HYBRID_SELF: &str = "4:memory:/api/1\n3:name=systemd:/\n2:cpu,cpuacct:/\n0::/x y\n";

    #[test]
    fn hybrid_host_has_both_kinds() {
        let host = Host::parse(HYBRID, HYBRID_SELF).unwrap();
        assert_eq!(host.mode, Mode::Hybrid);
        let names: Vec<_> = host.v1.iter().map(|h| h.controllers.join(",")).collect();
        assert_eq!(names, ["cpu,cpuacct", "memory", "name=systemd"]);
        assert_eq!(host.v1[1].own, Path::new("/sys/fs/cgroup/memory/api/1"));
        assert_eq!(host.unified.unwrap().own, Path::new("/sys/fs/cgroup/unified/x y"));
    }

    #[test]
    fn v2_host_ignores_a_stray_named_hierarchy() {
        let mounts = "30 23 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n\
                      40 23 0:37 / /mnt/systemd rw - cgroup cgroup rw,name=systemd\n";
        let host = Host::parse(mounts, "1:name=systemd:/\n0::/user.slice/a.scope\n").unwrap();
        assert_eq!(host.mode, Mode::V2);
        assert!(host.v1.is_empty());
    }

    #[test]
    fn mount_root_is_taken_off_the_own_path() {
        let mounts = "30 23 0:26 /docker/abc /sys/fs/cgroup/pids rw - cgroup cgroup rw,pids\n";
        let host = Host::parse(mounts, "8:pids:/docker/abc/sub\n").unwrap();
        assert_eq!(host.mode, Mode::V1);
        assert_eq!(host.v1[0].own, Path::new("/sys/fs/cgroup/pids/sub"));
    }

    #[test]
    fn no_mount_is_an_error() {
        assert!(matches!(Host::parse("", "0::/\n"), Err(Error::NotMounted)));
    }

    #[test]
    fn the_usual_place_tells_what_mountinfo_tells() {
        let read = |path: &str| std::fs::read_to_string(path).unwrap();
        let groups = read("/proc/self/cgroup");
        let parsed = Host::parse(&read("/proc/self/mountinfo"), &groups).unwrap();
        if let Some(mounts) = usual_mounts(Path::new(USUAL_PLACE), &groups) {
            assert_eq!(Host::assemble(&mounts, &groups).unwrap(), parsed);
        }
        assert_eq!(Host::detect().unwrap(), parsed);
        let elsewhere = tempfile::tempdir().unwrap();
        assert!(usual_mounts(elsewhere.path(), "0::/\n").is_none());
        assert!(usual_mounts(Path::new(USUAL_PLACE), "7:no-such-controller:/\n").is_none());
    }

    #[test]
    fn escapes_are_undone() {
        assert_eq!(unescape(r"/a\040b\134c\9"), r"/a b\c\9");
    }

    proptest! {
        #[test]
        fn clean_never_climbs(path in "[./a-c]{0,24}") {
            let cleaned = clean(&path);
            prop_assert!(cleaned.is_relative());
            prop_assert!(cleaned.components().all(|c| matches!(c, std::path::Component::Normal(_))));
        }

        #[test]
        fn any_text_is_survived(mounts in "\\PC{0,200}", groups in "\\PC{0,80}") {
            let _ = Host::parse(&mounts, &groups);
        }
    }
}
