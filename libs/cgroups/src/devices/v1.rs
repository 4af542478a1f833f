//! devices.allow and devices.deny (cgroup-v1/devices.rst).

use std::path::Path;

use runtime_spec::DeviceRule;

use super::policy::{Access, Policy};
use crate::error::Result;
use crate::file::{read, write, write_each};

/// Makes the group's policy that of `rules`, by differences, so that a running container never
/// loses a device that it keeps.
pub(crate) fn apply(dir: &Path, rules: &[DeviceRule]) -> Result<()> {
    let wanted = Policy::from_rules(rules)?;
    let list = read(dir, "devices.list")?;
    // A policy that allows by default does not list its exceptions: start afresh.
    let now = Policy::parse_list(&list).filter(|now| !now.allow && !wanted.allow);
    let (against, along) =
        if wanted.allow { ("devices.deny", "devices.allow") } else { ("devices.allow", "devices.deny") };
    let Some(now) = now else {
        write("devices", dir, along, "a")?;
        let rules = wanted.exceptions.iter().map(|(devices, access)| format!("{devices} {access}"));
        return write_each("devices", dir, against, rules);
    };
    for (devices, access) in &wanted.exceptions {
        let has = now.exceptions.get(devices).map_or(0, |a| a.0);
        let missing = Access(access.0 & !has);
        if missing.0 != 0 {
            write("devices", dir, against, &format!("{devices} {missing}"))?;
        }
    }
    for (devices, access) in &now.exceptions {
        let keeps = wanted.exceptions.get(devices).map_or(0, |a| a.0);
        let surplus = Access(access.0 & !keeps);
        if surplus.0 != 0 {
            write("devices", dir, along, &format!("{devices} {surplus}"))?;
        }
    }
    Ok(())
}
