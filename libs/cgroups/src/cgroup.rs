//! One cgroup: a directory in every hierarchy of the host.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};
use crate::host::{Host, Mode, clean};

/// A container's cgroup: the same group in every v1 hierarchy and in the unified one.
///
/// Only names directories; [`Cgroup::create`] makes them and [`Cgroup::remove`] takes them away.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cgroup {
    pub(crate) v1: Vec<V1Dir>,
    pub(crate) unified: Option<PathBuf>,
}

/// The group's directory in one v1 hierarchy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct V1Dir {
    pub controllers: Vec<String>,
    pub path: PathBuf,
}

impl Cgroup {
    /// Resolves `linux.cgroupsPath` (runtime-spec 1.3 config-linux.md#cgroups-path) on a host.
    ///
    /// An absolute path lies below each hierarchy's mount point. A relative one lies below the
    /// caller's own group (on pure v2 beside it, because a group with processes cannot have
    /// children with controllers). Empty means the relative path `id`.
    ///
    /// Errors: [`Error::Invalid`] when the path names the top of the hierarchy.
    pub fn resolve(host: &Host, cgroups_path: &str, id: &str) -> Result<Cgroup> {
        let wanted = if cgroups_path.is_empty() { id } else { cgroups_path };
        let inner = clean(wanted);
        if inner.as_os_str().is_empty() {
            return Err(Error::invalid("cgroupsPath", wanted, "it names the root of the hierarchy"));
        }
        let place = |mount_point: &Path, own: &Path| {
            if wanted.starts_with('/') { mount_point.join(&inner) } else { own.join(&inner) }
        };
        let v1 = host
            .v1
            .iter()
            .map(|h| V1Dir { controllers: h.controllers.clone(), path: place(&h.mount_point, &h.own) })
            .collect();
        let unified = host.unified.as_ref().map(|h| {
            let beside = h.own.parent().filter(|p| host.mode == Mode::V2 && p.starts_with(&h.mount_point));
            place(&h.mount_point, beside.unwrap_or(&h.own))
        });
        Ok(Cgroup { v1, unified })
    }

    /// The cgroup that a process is in now.
    ///
    /// Errors: [`Error::Path`] with `NotFound` when there is no such process.
    pub fn of_process(pid: i32) -> Result<Cgroup> {
        let host = Host::of_process(&pid.to_string())?;
        let v1 = host.v1.into_iter().map(|h| V1Dir { controllers: h.controllers, path: h.own }).collect();
        Ok(Cgroup { v1, unified: host.unified.map(|h| h.own) })
    }

    /// The directories by controller, to be kept in a state file: v1 controllers and names
    /// ("name=systemd") by name, the unified hierarchy under the empty string.
    pub fn paths(&self) -> BTreeMap<String, PathBuf> {
        let mut all = BTreeMap::new();
        for dir in &self.v1 {
            for controller in &dir.controllers {
                all.insert(controller.clone(), dir.path.clone());
            }
        }
        if let Some(path) = &self.unified {
            all.insert(String::new(), path.clone());
        }
        all
    }

    /// The inverse of [`Cgroup::paths`].
    pub fn from_paths(paths: &BTreeMap<String, PathBuf>) -> Cgroup {
        let mut group = Cgroup { v1: Vec::new(), unified: None };
        for (controller, path) in paths {
            if controller.is_empty() {
                group.unified = Some(path.clone());
            } else if let Some(dir) = group.v1.iter_mut().find(|d| d.path == *path) {
                dir.controllers.push(controller.clone());
            } else {
                group.v1.push(V1Dir { controllers: vec![controller.clone()], path: path.clone() });
            }
        }
        group
    }

    /// How this group is laid out.
    pub fn mode(&self) -> Mode {
        match (self.v1.is_empty(), &self.unified) {
            (true, _) => Mode::V2,
            (false, Some(_)) => Mode::Hybrid,
            (false, None) => Mode::V1,
        }
    }

    /// True when at least one of the directories is there.
    pub fn exists(&self) -> bool {
        self.dirs().any(|d| d.exists())
    }

    /// A group below this one, as `exec --cgroup [CONTROLLERS:]PATH` words it: on v1 each item may
    /// name the controllers it is for, on v2 there is one plain path. Hierarchies not named stay.
    ///
    /// Errors: [`Error::Invalid`] for an unknown controller or a path that climbs out.
    pub fn subgroup(&self, items: &[String]) -> Result<Cgroup> {
        let mut group = self.clone();
        for item in items {
            let (controllers, path) = match item.split_once(':') {
                Some((names, path)) => (Some(names), path),
                None => (None, item.as_str()),
            };
            if path.split('/').any(|part| part == "..") {
                return Err(Error::invalid(
                    "--cgroup",
                    item,
                    "bad sub cgroup path: it is not a sub cgroup path",
                ));
            }
            let below = clean(path);
            match controllers {
                Some(names) => {
                    for name in names.split(',') {
                        let dir = group.v1.iter_mut().find(|d| d.controllers.iter().any(|c| c == name));
                        let dir =
                            dir.ok_or_else(|| Error::invalid("--cgroup", item, "unknown controller in it"))?;
                        let base = self.v1_path(name).unwrap_or(&dir.path).to_owned();
                        dir.path = base.join(&below);
                    }
                }
                None => {
                    group.v1.iter_mut().for_each(|d| d.path.push(&below));
                    group.unified.iter_mut().for_each(|p| p.push(&below));
                }
            }
        }
        Ok(group)
    }

    /// The v1 directory of a controller.
    pub(crate) fn v1_path(&self, controller: &str) -> Option<&Path> {
        let dir = self.v1.iter().find(|d| d.controllers.iter().any(|c| c == controller))?;
        Some(&dir.path)
    }

    /// All directories, v1 first.
    pub(crate) fn dirs(&self) -> impl Iterator<Item = &Path> {
        self.v1.iter().map(|d| d.path.as_path()).chain(self.unified.as_deref())
    }

    /// The directory whose tree lists the group's processes: any will do, as a container's
    /// processes are in all of them; the freezer's is preferred because killing freezes first.
    pub(crate) fn process_dir(&self) -> Option<&Path> {
        match self.mode() {
            Mode::V2 => self.unified.as_deref(),
            _ => ["freezer", "devices", "pids"]
                .iter()
                .find_map(|c| self.v1_path(c))
                .or_else(|| self.v1.first().map(|d| d.path.as_path())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::Hierarchy;

    fn host(mode: Mode) -> Host {
        let at = |controllers: &[&str], dir: &str, own: &str| Hierarchy {
            controllers: controllers.iter().map(|c| c.to_string()).collect(),
            mount_point: dir.into(),
            own: own.into(),
        };
        let v1 = vec![
            at(&["cpu", "cpuacct"], "/cg/cpu", "/cg/cpu/me"),
            at(&["memory"], "/cg/memory", "/cg/memory"),
        ];
        Host {
            mode,
            v1: if mode == Mode::V2 { vec![] } else { v1 },
            unified: (mode != Mode::V1).then(|| at(&[], "/cg/u", "/cg/u/a/me")),
        }
    }

    #[test]
    fn absolute_path_is_below_the_mount_point() {
        let group = Cgroup::resolve(&host(Mode::Hybrid), "/docker/x", "id").unwrap();
        let paths = group.paths();
        assert_eq!(paths["cpuacct"], Path::new("/cg/cpu/docker/x"));
        assert_eq!(paths[""], Path::new("/cg/u/docker/x"));
        assert_eq!(Cgroup::from_paths(&paths), group);
    }

    #[test]
    fn relative_and_empty_are_below_the_caller() {
        let v1 = Cgroup::resolve(&host(Mode::V1), "", "id").unwrap();
        assert_eq!(v1.v1_path("cpu"), Some(Path::new("/cg/cpu/me/id")));
        assert_eq!(v1.v1_path("memory"), Some(Path::new("/cg/memory/id")));
        let v2 = Cgroup::resolve(&host(Mode::V2), "rel/x", "id").unwrap();
        assert_eq!(v2.unified.as_deref(), Some(Path::new("/cg/u/a/rel/x")));
    }

    #[test]
    fn the_top_and_climbing_are_refused() {
        for bad in ["/", "/..", "/a/..", "./"] {
            assert!(
                matches!(Cgroup::resolve(&host(Mode::V1), bad, "id"), Err(Error::Invalid { .. })),
                "{bad}"
            );
        }
        let up = Cgroup::resolve(&host(Mode::V1), "../../../etc", "id").unwrap();
        assert_eq!(up.v1_path("memory"), Some(Path::new("/cg/memory/etc")));
    }

    #[test]
    fn subgroup_words() {
        let group = Cgroup::resolve(&host(Mode::Hybrid), "/c", "id").unwrap();
        let sub = group.subgroup(&["cpu:inner".into()]).unwrap();
        assert_eq!(sub.v1_path("cpuacct"), Some(Path::new("/cg/cpu/c/inner")));
        assert_eq!(sub.v1_path("memory"), Some(Path::new("/cg/memory/c")));
        let all = group.subgroup(&["/inner".into()]).unwrap();
        assert_eq!(all.unified.as_deref(), Some(Path::new("/cg/u/c/inner")));
        for bad in ["../x", "cpu:../x", "nope:/x"] {
            assert!(group.subgroup(&[bad.into()]).is_err(), "{bad}");
        }
    }
}
