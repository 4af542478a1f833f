//! Which devices a group may use: v1 control files, v2 programs.

mod policy;
mod program;
mod v1;
mod v2;

use runtime_spec::DeviceRule;

use crate::error::Error;
use policy::Policy;

pub(crate) use v1::apply as apply_v1;
pub(crate) use v2::apply as apply_v2;

/// The rules that every container gets after its own, as runc adds them: making any node, and
/// using the devices that the specification promises (config-linux.md#default-devices), terminals.
pub fn default_devices() -> Vec<DeviceRule> {
    let rule = |kind: &str, major: Option<i64>, minor: Option<i64>, access: &str| DeviceRule {
        allow: true,
        kind: kind.into(),
        major,
        minor,
        access: access.into(),
    };
    let mut rules = vec![rule("c", None, None, "m"), rule("b", None, None, "m")];
    // null, random, full, tty, zero, urandom, ptmx.
    for (major, minor) in [(1, 3), (1, 8), (1, 7), (5, 0), (1, 5), (1, 9), (5, 2)] {
        rules.push(rule("c", Some(major), Some(minor), "rwm"));
    }
    // Pseudo terminals.
    rules.push(rule("c", Some(136), None, "rwm"));
    rules
}

/// What is wrong with the first rule that cannot be kept, and its place in the list.
pub fn device_fault(rules: &[DeviceRule]) -> Option<(usize, Error)> {
    Policy::fault(rules)
}
