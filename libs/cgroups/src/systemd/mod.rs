//! Groups that systemd owns: transient scopes, made and ended over D-Bus.
//!
//! The order of `--systemd-cgroup`: [`Scope::parse`] the cgroups path, make the container's
//! process, [`Systemd::start`] the scope with its pid (systemd makes the directories and moves it),
//! then [`Scope::cgroup`] with create (for hierarchies that systemd does not manage), `apply` and
//! join as with plain groups. `Delegate=yes` keeps systemd from undoing what is set below.
//! [`Systemd::stop`] goes before `remove`.

mod bus;
mod limits;
mod message;
mod property;

pub use message::Value;
pub use property::properties;

use std::path::{Path, PathBuf};

use runtime_spec::Resources;

use self::bus::{Bus, Failure};
use self::message::{Method, Writer};
use crate::cgroup::Cgroup;
use crate::error::{Error, Result};
use crate::host::{Host, Mode};

/// Where the system's message bus listens unless DBUS_SYSTEM_BUS_ADDRESS says else.
pub const SYSTEM_BUS: &str = "/run/dbus/system_bus_socket";

/// The bus that the environment names for the system's manager, or for the user's own.
///
/// Errors: [`Error::Systemd`] for an address that is not a path.
pub fn bus_socket(of_user: bool) -> Result<PathBuf> {
    let (variable, default) = match of_user {
        true => {
            let directory = std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from);
            ("DBUS_SESSION_BUS_ADDRESS", directory.unwrap_or_else(|| "/run".into()).join("bus"))
        }
        false => ("DBUS_SYSTEM_BUS_ADDRESS", SYSTEM_BUS.into()),
    };
    let Ok(address) = std::env::var(variable) else { return Ok(default) };
    let path = address.split(';').find_map(|one| one.strip_prefix("unix:path=")?.split(',').next());
    path.map(PathBuf::from).ok_or_else(|| Error::Systemd {
        verb: "reach",
        unit: "manager".to_owned(),
        reason: format!("{variable} {address:?} names no socket"),
    })
}

/// A transient scope (or slice) in a slice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scope {
    /// "system.slice", "kubepods-burstable.slice".
    pub slice: String,
    /// "docker-4f2a.scope".
    pub unit: String,
}

impl Scope {
    /// Reads a cgroups path of the form `slice:prefix:name` as runc does; empty means
    /// `system.slice:runc:ID` (`user.slice` when rootless). A name that ends in ".slice" is a
    /// slice of its own.
    ///
    /// Errors: [`Error::Invalid`] for another form or a slice name that is none.
    pub fn parse(cgroups_path: &str, id: &str, is_rootless: bool) -> Result<Scope> {
        let default_slice = if is_rootless { "user.slice" } else { "system.slice" };
        let invalid = |reason| Error::invalid("cgroupsPath", cgroups_path, reason);
        let (slice, prefix, name) = match cgroups_path.split(':').collect::<Vec<_>>()[..] {
            [""] => (default_slice, "runc", id),
            ["", prefix, name] => (default_slice, prefix, name),
            [slice, prefix, name] => (slice, prefix, name),
            _ => {
                return Err(invalid(
                    "expected cgroupsPath to be of format \"slice:prefix:name\" for systemd cgroups",
                ));
            }
        };
        slice_path(slice).ok_or_else(|| invalid("invalid slice name"))?;
        if name.is_empty() || name.contains('/') || prefix.contains('/') {
            return Err(invalid("invalid unit name"));
        }
        let unit = match (name.ends_with(".slice"), prefix) {
            (true, _) => name.to_owned(),
            (false, "") => format!("{name}.scope"),
            (false, prefix) => format!("{prefix}-{name}.scope"),
        };
        Ok(Scope { slice: slice.to_owned(), unit })
    }

    /// The scope's group: in every hierarchy at the same path below the top.
    pub fn cgroup(&self, host: &Host) -> Result<Cgroup> {
        let slices = slice_path(&self.slice)
            .ok_or_else(|| Error::invalid("cgroupsPath", &self.slice, "invalid slice name"))?;
        let path = Path::new("/").join(slices).join(&self.unit);
        Cgroup::resolve(host, &path.to_string_lossy(), &self.unit)
    }
}

/// "a-b.slice" lies at "a.slice/a-b.slice"; "-.slice" is the top (systemd.slice(5)).
fn slice_path(slice: &str) -> Option<PathBuf> {
    let name = slice.strip_suffix(".slice").filter(|n| !n.is_empty() && !n.contains('/'))?;
    let mut path = PathBuf::new();
    if name == "-" {
        return Some(path);
    }
    for (at, _) in name.match_indices('-').chain([(name.len(), "")]) {
        if at == 0 || name[..at].ends_with('-') {
            return None;
        }
        path.push(format!("{}.slice", &name[..at]));
    }
    Some(path)
}

/// A connection to systemd's manager.
pub struct Systemd {
    bus: Bus,
    mode: Mode,
}

impl Systemd {
    /// Connects to the manager behind a bus ([`SYSTEM_BUS`], or a user's bus when rootless).
    pub fn connect(socket: &Path, host: &Host) -> Result<Systemd> {
        let unit = || "manager".to_owned();
        let mut bus = Bus::connect(socket).map_err(|e| failed("reach", unit(), e))?;
        bus.watch("type='signal',interface='org.freedesktop.systemd1.Manager',member='JobRemoved'")
            .and_then(|()| bus.call(&manager("Subscribe", ""), &[]))
            .map_err(|e| failed("subscribe to", unit(), e))?;
        Ok(Systemd { bus, mode: host.mode })
    }

    /// Starts the scope with these processes in it and waits until systemd is done.
    ///
    /// `extra` are properties on top, from `org.systemd.property.*` annotations. A failed unit of
    /// the same name is cleared away first.
    ///
    /// Errors: [`Error::Systemd`].
    pub fn start(
        &mut self,
        scope: &Scope,
        pids: &[u32],
        limits: &Resources,
        extra: &[(String, Value)],
    ) -> Result<()> {
        let mut properties = limits::unit(scope, pids);
        properties.extend(limits::properties(limits, self.mode)?);
        properties.extend_from_slice(extra);
        let mut body = Writer::default();
        body.text(&scope.unit);
        body.text("replace");
        body.properties(&properties);
        body.array(8, |_| {});
        let method = manager("StartTransientUnit", "ssa(sv)a(sa(sv))");
        let reply = match self.bus.call(&method, &body.bytes) {
            Err(Failure::Refused(name, _)) if name == "org.freedesktop.systemd1.UnitExists" => {
                let mut unit = Writer::default();
                unit.text(&scope.unit);
                // Only a failed unit can be reset; any other still exists and start says so again.
                let _ = self.bus.call(&manager("ResetFailedUnit", "s"), &unit.bytes);
                self.bus.call(&method, &body.bytes)
            }
            other => other,
        };
        let job = reply.map_err(|e| failed("start", scope.unit.clone(), e))?;
        self.finish("start", scope, job.body.first())
    }

    /// Changes limits of a running scope. Also set them in [`Scope::cgroup`]: systemd knows fewer.
    pub fn set(&mut self, scope: &Scope, limits: &Resources) -> Result<()> {
        let properties = limits::properties(limits, self.mode)?;
        let mut body = Writer::default();
        body.text(&scope.unit);
        // Runtime only: gone with the unit.
        body.u32(1);
        body.properties(&properties);
        let result = self.bus.call(&manager("SetUnitProperties", "sba(sv)"), &body.bytes);
        result.map(drop).map_err(|e| failed("update", scope.unit.clone(), e))
    }

    /// Stops the scope and waits until systemd is done, and forgets that it failed, if it did. A
    /// scope that is gone is no failure.
    pub fn stop(&mut self, scope: &Scope) -> Result<()> {
        self.stop_unit(scope)?;
        let mut unit = Writer::default();
        unit.text(&scope.unit);
        // What did not fail has nothing to reset.
        let _ = self.bus.call(&manager("ResetFailedUnit", "s"), &unit.bytes);
        Ok(())
    }

    fn stop_unit(&mut self, scope: &Scope) -> Result<()> {
        let mut body = Writer::default();
        body.text(&scope.unit);
        body.text("replace");
        match self.bus.call(&manager("StopUnit", "ss"), &body.bytes) {
            Ok(job) => self.finish("stop", scope, job.body.first()),
            Err(Failure::Refused(name, _)) if name == "org.freedesktop.systemd1.NoSuchUnit" => Ok(()),
            Err(e) => Err(failed("stop", scope.unit.clone(), e)),
        }
    }

    /// Waits for the end of a job: JobRemoved(id, job, unit, result).
    fn finish(&mut self, verb: &'static str, scope: &Scope, job: Option<&String>) -> Result<()> {
        let ended = self
            .bus
            .signal(|s| s.member == "JobRemoved" && s.body.get(1) == job)
            .map_err(|e| failed(verb, scope.unit.clone(), e))?;
        match ended.body.get(3).map(String::as_str) {
            Some("done") => Ok(()),
            other => Err(Error::Systemd {
                verb,
                unit: scope.unit.clone(),
                reason: format!("job ended with {:?}", other.unwrap_or("nothing")),
            }),
        }
    }
}

fn failed(verb: &'static str, unit: String, failure: Failure) -> Error {
    Error::Systemd { verb, unit, reason: failure.to_string() }
}

fn manager(member: &'static str, signature: &'static str) -> Method {
    Method {
        destination: "org.freedesktop.systemd1",
        path: "/org/freedesktop/systemd1",
        interface: "org.freedesktop.systemd1.Manager",
        member,
        signature,
    }
}

#[cfg(test)]
mod tests;
