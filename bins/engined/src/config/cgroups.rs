//! Who makes the cgroups of containers, and where.

use std::path::Path;

use errdefs::{Error, Result};

/// Docker's drivers (`native.cgroupdriver`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CgroupDriver {
    /// The runtime, as directories below a path.
    Cgroupfs,
    /// systemd, as scopes in a slice.
    Systemd,
}

/// There while systemd is what the host runs (sd_booted(3)).
const RUNNING: &str = "/run/systemd/system";
const SLICE: &str = ".slice";

impl CgroupDriver {
    /// Docker's word.
    pub fn word(self) -> &'static str {
        match self {
            CgroupDriver::Cgroupfs => "cgroupfs",
            CgroupDriver::Systemd => "systemd",
        }
    }

    /// Parent of the containers that name none.
    fn default_parent(self) -> &'static str {
        match self {
            CgroupDriver::Cgroupfs => "/wherry",
            CgroupDriver::Systemd => "system.slice",
        }
    }

    /// Checks a parent that somebody names; empty is none.
    ///
    /// # Errors
    /// systemd knows slices only.
    pub fn check_parent(self, parent: &str) -> Result<()> {
        let is_slice = parent.len() > SLICE.len() && parent.ends_with(SLICE) && !parent.contains('/');
        if self == CgroupDriver::Systemd && !parent.is_empty() && !is_slice {
            return Err(Error::invalid_argument(
                "cgroup-parent for systemd cgroup should be a valid slice named as \"xxx.slice\"",
            ));
        }
        Ok(())
    }

    /// Where a container's cgroup is, in the words of the runtime spec.
    pub fn path(self, parent: &str, id: &str) -> String {
        match self {
            CgroupDriver::Cgroupfs => format!("/{}/{id}", parent.trim_matches('/')),
            CgroupDriver::Systemd => format!("{parent}:wherry:{id}"),
        }
    }
}

impl super::Flags {
    /// The driver that the flags name; the last one counts.
    pub fn cgroup_driver(&self) -> CgroupDriver {
        let named = |option: &String| option.strip_prefix("native.cgroupdriver=").map(str::to_owned);
        match self.rest.exec_opt.iter().filter_map(named).next_back().as_deref() {
            Some("systemd") => CgroupDriver::Systemd,
            _ => CgroupDriver::Cgroupfs,
        }
    }

    /// The cgroup, or slice, of the containers that name none.
    pub fn cgroup_parent(&self) -> &str {
        let given = self.cgroup_parent.as_deref().filter(|parent| !parent.is_empty());
        given.unwrap_or(self.cgroup_driver().default_parent())
    }

    /// Checks that this host has what the driver needs.
    ///
    /// # Errors
    /// The parent is no slice, or systemd does not run.
    pub fn check_cgroups(&self) -> Result<()> {
        let driver = self.cgroup_driver();
        driver.check_parent(self.cgroup_parent.as_deref().unwrap_or_default())?;
        if driver == CgroupDriver::Systemd && !Path::new(RUNNING).is_dir() {
            return Err(Error::failed_precondition(
                "cannot use the cgroup driver systemd (native.cgroupdriver): systemd does not run on this host",
            )
            .with_hint("Leave the option out, or use native.cgroupdriver=cgroupfs."));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_driver_has_its_own_paths() {
        assert_eq!(CgroupDriver::Cgroupfs.path("/a/b/", "id"), "/a/b/id");
        assert_eq!(CgroupDriver::Systemd.path("a.slice", "id"), "a.slice:wherry:id");
        for (parent, is_slice) in
            [("a.slice", true), ("", true), (".slice", false), ("/a", false), ("/a.slice", false)]
        {
            assert_eq!(CgroupDriver::Systemd.check_parent(parent).is_ok(), is_slice, "{parent:?}");
            assert!(CgroupDriver::Cgroupfs.check_parent(parent).is_ok());
        }
    }
}
