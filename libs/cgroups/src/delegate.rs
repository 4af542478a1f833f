//! Groups below a group, and giving one to those who run in it: cgroups(7), "Delegating a hierarchy".

use std::io;
use std::os::unix::fs::chown;
use std::path::{Path, PathBuf};

use crate::cgroup::{Cgroup, V1Dir};
use crate::error::{Error, Result};
use crate::host::clean;

/// The files that go with a group, which are not there in every group.
const LIST: &str = "/sys/kernel/cgroup/delegate";

/// What is given where the kernel has no list (runtime-spec 1.3 config-linux.md#cgroup-ownership).
const UNLISTED: &str = "cgroup.procs\ncgroup.subtree_control\ncgroup.threads\n";

impl Cgroup {
    /// The group `path` below this one, in every hierarchy.
    ///
    /// Errors: [`Error::Invalid`] for a path that climbs out or stays here.
    pub fn below(&self, path: &str) -> Result<Cgroup> {
        if path.split('/').any(|part| part == "..") || clean(path).as_os_str().is_empty() {
            return Err(Error::invalid("sub cgroup", path, "it names no group below"));
        }
        let below = clean(path);
        Ok(self.with_dirs(|dir| dir.join(&below)))
    }

    /// The group that this one is `path` below: the inverse of [`Cgroup::below`].
    pub fn above(&self, path: &str) -> Cgroup {
        let depth = clean(path).components().count();
        self.with_dirs(|dir| dir.ancestors().nth(depth).unwrap_or(dir).to_owned())
    }

    fn with_dirs(&self, change: impl Fn(&Path) -> PathBuf) -> Cgroup {
        let v1 = self.v1.iter().map(|dir| V1Dir { path: change(&dir.path), ..dir.clone() });
        Cgroup { v1: v1.collect(), unified: self.unified.as_deref().map(change) }
    }

    /// Makes `uid`, and `gid` where one is given, the owner of the unified group's directory and of
    /// the files by which processes and controllers go to groups below. The limits stay whose they are.
    ///
    /// v1 hierarchies are never given away: their files have no such bounds.
    pub fn give_to(&self, uid: u32, gid: Option<u32>) -> Result<()> {
        let Some(dir) = &self.unified else { return Ok(()) };
        let give = |path: &Path| match chown(path, Some(uid), gid) {
            Err(error) if error.kind() == io::ErrorKind::NotFound && path != dir.as_path() => Ok(()),
            other => other.map_err(|error| Error::path("give away", path, error)),
        };
        give(dir)?;
        let listed = std::fs::read_to_string(LIST);
        listed.as_deref().unwrap_or(UNLISTED).lines().try_for_each(|name| give(&dir.join(name)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn group(dir: &Path) -> Cgroup {
        let v1 = V1Dir { controllers: vec!["cpu".into()], path: "/cg/cpu/a".into() };
        Cgroup { v1: vec![v1], unified: Some(dir.to_owned()) }
    }

    #[test]
    fn below_and_above_are_inverse() {
        let group = group(Path::new("/cg/u/a"));
        let below = group.below("/x//y/").unwrap();
        assert_eq!(below.paths()["cpu"], Path::new("/cg/cpu/a/x/y"));
        assert_eq!(below.paths()[""], Path::new("/cg/u/a/x/y"));
        assert_eq!(below.above("/x//y/"), group);
        assert_eq!(group.above(""), group);
        for bad in ["", "/", ".", "..", "x/../..", "/../x"] {
            assert!(matches!(group.below(bad), Err(Error::Invalid { .. })), "{bad}");
        }
    }

    #[test]
    fn limits_are_not_given_away() {
        use std::os::unix::fs::MetadataExt;
        let dir = tempfile::tempdir().unwrap();
        let names = ["cgroup.procs", "cgroup.subtree_control", "memory.max"];
        names.iter().for_each(|name| std::fs::write(dir.path().join(name), "").unwrap());
        // A number of our own may be taken without privilege.
        let own = std::fs::metadata(dir.path()).unwrap();
        let (uid, given) = match own.uid() {
            0 => (100_000, 100_000),
            uid => (uid, uid),
        };
        group(dir.path()).give_to(uid, None).unwrap();
        let owner = |name: &str| std::fs::metadata(dir.path().join(name)).unwrap().uid();
        assert_eq!([owner(""), owner("cgroup.procs"), owner("cgroup.subtree_control")], [given; 3]);
        assert_eq!(owner("memory.max"), own.uid());
        assert!(group(&dir.path().join("gone")).give_to(uid, None).is_err());
    }
}
