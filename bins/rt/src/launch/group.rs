//! The container's cgroup on its way into being: made by us, or by systemd around a process.

use std::collections::BTreeMap;

use cgroups::systemd::{Scope, Systemd, Value, bus_socket, properties};
use cgroups::{Cgroup, Host, Join};
use runtime_spec::{Linux, Resources};
use rustix::process::Pid;

use crate::container::ScopeName;
use crate::failure::Failure;
use crate::global::Rootless;

/// Who makes cgroups.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Manager {
    Cgroupfs,
    Systemd,
    /// Nobody: processes stay in the runtime's own group.
    Disabled,
}

/// A cgroup and the way it comes to be.
#[derive(Debug)]
pub struct Group {
    pub host: Host,
    pub cgroup: Cgroup,
    pub scope: Option<Scope>,
    limits: Resources,
    properties: Vec<(String, Value)>,
    /// Whether the configuration asks for a place or a limit, so that there is no doing without.
    needed: bool,
    rootless: Rootless,
    disabled: bool,
}

/// How a process gets in.
#[derive(Debug)]
pub struct Way {
    /// None when systemd moves it.
    pub join: Option<Join>,
    without: bool,
}

impl Way {
    /// The process stays where it is.
    fn nowhere() -> Result<Way, Failure> {
        Ok(Way { join: Some(Cgroup::from_paths(&BTreeMap::new()).join()?), without: true })
    }

    /// Whether there is no group at all.
    pub fn is_without(&self) -> bool {
        self.without
    }
}

impl Group {
    /// Finds the place of container `id`; nothing is made.
    pub fn resolve(
        manager: Manager,
        rootless: Rootless,
        linux: &Linux,
        id: &str,
        annotations: &BTreeMap<String, String>,
    ) -> Result<Group, Failure> {
        let host = Host::detect()?;
        let (scope, cgroup) = match manager {
            Manager::Cgroupfs => (None, Cgroup::resolve(&host, &linux.cgroups_path, id)?),
            Manager::Systemd => {
                let scope = Scope::parse(&linux.cgroups_path, id, uses_user_bus())?;
                let cgroup = scope.cgroup(&host)?;
                (Some(scope), cgroup)
            }
            Manager::Disabled => (None, Cgroup::from_paths(&BTreeMap::new())),
        };
        let asked = linux.resources.clone().unwrap_or_default();
        let needed = asked != Resources { devices: asked.devices.clone(), ..Resources::default() };
        let limits = with_default_devices(asked);
        let properties = properties(annotations)?;
        let disabled = manager == Manager::Disabled;
        if disabled && needed {
            return Err(Failure::new("/linux/resources: needs a cgroup manager"));
        }
        Ok(Group { disabled, host, cgroup, scope, limits, properties, needed, rootless })
    }

    /// Makes the group and sets its limits, unless that has to wait for a process.
    ///
    /// Where an unprivileged user may not make groups and none is needed, there is none.
    pub fn make(&self) -> Result<Way, Failure> {
        if self.scope.is_some() {
            return Ok(Way { join: None, without: false });
        }
        if self.disabled {
            return Way::nowhere();
        }
        match self.cgroup.create() {
            Err(error) if error.is_refused() && self.rootless.holds() => {
                let _ = self.cgroup.remove();
                if self.needed {
                    return Err(Failure::new(format!(
                        "rootless needs no limits when no permission is granted for cgroups: {error}"
                    )));
                }
                return Way::nowhere();
            }
            other => other?,
        }
        self.limit()?;
        Ok(Way { join: Some(self.cgroup.join()?), without: false })
    }

    fn limit(&self) -> Result<(), Failure> {
        self.cgroup.apply(&self.limits).map_err(|error| Failure::from(error).within("/linux/resources"))
    }

    /// Has systemd make its scope around `pid`, and sets what systemd does not know.
    pub fn adopt(&self, pid: Pid) -> Result<(), Failure> {
        let Some(scope) = &self.scope else { return Ok(()) };
        let number = pid.as_raw_nonzero().get();
        let mut systemd = Systemd::connect(&bus_socket(uses_user_bus())?, &self.host)?;
        systemd.start(scope, &[number as u32], &self.limits, &self.properties)?;
        self.cgroup.create()?;
        self.limit()?;
        Ok(self.cgroup.add_process(number)?)
    }
}

/// Whether there are limits of kernel memory, which kernels have no more: runc passes them over with
/// this warning, and its callers know that.
pub fn ignored_limits(limits: &Resources) -> Option<&'static str> {
    let memory = limits.memory.as_ref()?;
    let given = [memory.kernel, memory.kernel_tcp].into_iter().flatten().any(|limit| limit > 0);
    given.then_some("Kernel memory settings are ignored and will be removed")
}

/// Changes limits in systemd's eyes, for a container whose group is a scope of its.
pub fn set_in_systemd(scope: &ScopeName, limits: &Resources) -> Result<(), Failure> {
    let mut systemd = Systemd::connect(&bus_socket(uses_user_bus())?, &Host::detect()?)?;
    Ok(systemd.set(&scope.scope(), limits)?)
}

/// Ends a scope, which may be gone already.
pub fn stop_in_systemd(scope: &Scope) -> Result<(), Failure> {
    let mut systemd = Systemd::connect(&bus_socket(uses_user_bus())?, &Host::detect()?)?;
    Ok(systemd.stop(scope)?)
}

/// The limits with the device rules that every container needs at the end.
pub fn with_default_devices(mut limits: Resources) -> Resources {
    limits.devices.extend(cgroups::default_devices());
    limits
}

fn uses_user_bus() -> bool {
    !rustix::process::geteuid().is_root()
}
