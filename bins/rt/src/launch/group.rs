//! The container's cgroup on its way into being: made by us, or by systemd around a process.

use std::collections::BTreeMap;

use cgroups::systemd::{Scope, Systemd, Value, bus_socket, properties};
use cgroups::{Cgroup, Host, Join, Mode};
use namespaces::{IdKind, outer_id};
use runtime_spec::{Linux, Resources};
use rustix::process::Pid;

use crate::annotations;
use crate::container::ScopeName;
use crate::failure::{Failure, Tried};
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
    /// Where the container's group lies below the scope's.
    subgroup: Option<String>,
    /// The group below the container's that init moves to.
    delegated: Option<Cgroup>,
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
        let subgroup = annotations::subgroup(annotations).filter(|_| manager == Manager::Systemd);
        let (scope, cgroup) = match manager {
            Manager::Cgroupfs => (None, Cgroup::resolve(&host, &linux.cgroups_path, id)?),
            Manager::Systemd => {
                let scope = Scope::parse(&linux.cgroups_path, id, uses_user_bus())?;
                let whole = scope.cgroup(&host)?;
                (Some(scope), subgroup.map_or(Ok(whole.clone()), |path| whole.below(path))?)
            }
            Manager::Disabled => (None, Cgroup::from_paths(&BTreeMap::new())),
        };
        let delegated = annotations::delegated(annotations);
        if delegated.is_some() && (host.mode != Mode::V2 || manager == Manager::Disabled) {
            let what = annotations::DELEGATED;
            return Err(Failure::new(format!("/annotations/{what}: needs cgroup v2 and a cgroup manager")));
        }
        let delegated = delegated.map(|path| cgroup.below(path)).transpose()?;
        let asked = linux.resources.clone().unwrap_or_default();
        let has_limits = asked != Resources { devices: asked.devices.clone(), ..Resources::default() };
        let needed = has_limits || delegated.is_some();
        let limits = with_default_devices(asked);
        let properties = properties(annotations)?;
        let disabled = manager == Manager::Disabled;
        if disabled && needed {
            return Err(Failure::new("/linux/resources: needs a cgroup manager"));
        }
        let subgroup = subgroup.map(str::to_owned);
        Ok(Group { host, cgroup, scope, subgroup, delegated, limits, properties, needed, rootless, disabled })
    }

    /// All that was made for the container: its own group, or systemd's scope around it.
    pub fn whole(&self) -> Cgroup {
        self.cgroup.above(self.subgroup.as_deref().unwrap_or_default())
    }

    /// The scope as it is kept in the record.
    pub fn scope_name(&self) -> Option<ScopeName> {
        let Scope { slice, unit } = self.scope.clone()?;
        Some(ScopeName { slice, unit, subgroup: self.subgroup.clone().unwrap_or_default() })
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
        self.cgroup.add_process(number)?;
        if self.subgroup.is_some() {
            // A group with processes of its own, as the scope was, passes no controllers down.
            self.cgroup.create()?;
        }
        self.limit()
    }

    /// Whether init has to wait for [`Group::delegate`].
    pub fn delegates(&self) -> bool {
        self.delegated.is_some()
    }

    /// Moves init, which is in its namespaces, to the group below its own, and makes that its
    /// root's. As the namespaces are made already, limits above it are out of their sight.
    pub fn delegate(&self, init: Pid) -> Result<(), Failure> {
        let Some(delegated) = &self.delegated else { return Ok(()) };
        let failed = |failure: Failure| failure.within(&format!("/annotations/{}", annotations::DELEGATED));
        delegated.create().map_err(|error| failed(error.into()))?;
        delegated.add_process(init.as_raw_nonzero().get()).map_err(|error| failed(error.into()))?;
        // Only now does the container's own group pass controllers down.
        delegated.create().map_err(|error| failed(error.into()))?;
        let [uid, gid] = [IdKind::User, IdKind::Group]
            .map(|kind| outer_id(init, kind, 0).tried("cannot read the mappings of init"));
        match (uid?, gid?) {
            (Some(uid), gid) => delegated.give_to(uid, gid).map_err(|error| failed(error.into())),
            (None, _) => Ok(()),
        }
    }

    /// Makes the group that of the user whom the program runs as
    /// (config-linux.md#cgroup-ownership), which is on cgroup v2 alone.
    pub fn give_to_user(&self, init: Pid, user: u32) -> Result<(), Failure> {
        if self.host.mode != Mode::V2 {
            return Ok(());
        }
        match outer_id(init, IdKind::User, user).tried("cannot read the mappings of init")? {
            Some(uid) => Ok(self.cgroup.give_to(uid, None)?),
            None => Ok(()),
        }
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
