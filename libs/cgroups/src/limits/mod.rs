//! Setting limits, on a new group and on one with processes alike.

mod blockio;
pub(crate) mod convert;
mod v1;
mod v2;

use runtime_spec::Resources;

use crate::cgroup::Cgroup;
use crate::devices;
use crate::error::{Error, Result};
use crate::host::Mode;

impl Cgroup {
    /// Sets the limits given and leaves the others as they are (runtime-spec 1.3
    /// config-linux.md#control-groups).
    ///
    /// On a new group call it between [`Cgroup::create`] and the first process (realtime limits
    /// have to be there before a realtime process is). On a running one it is `update`: a limit
    /// that depends on another is written after it, raises before lowers.
    ///
    /// `devices` replaces the whole device policy when it is not empty; see
    /// [`default_devices`](crate::default_devices).
    ///
    /// Errors: [`Error::NoController`] for a limit whose controller is off; [`Error::Unsupported`]
    /// for what this cgroup version cannot express; [`Error::Write`] with file and value.
    pub fn apply(&self, limits: &Resources) -> Result<()> {
        match self.mode() {
            Mode::V2 => {
                let dir = self.unified.as_deref().ok_or(Error::NotMounted)?;
                v2::apply(dir, limits)?;
                if !limits.devices.is_empty() {
                    devices::apply_v2(dir, &limits.devices)?;
                }
                v2::apply_unified(dir, limits)
            }
            Mode::V1 | Mode::Hybrid => {
                if !limits.unified.is_empty() {
                    return Err(Error::Unsupported(
                        "unified resources: invalid configuration: cannot use unified on cgroup v1",
                    ));
                }
                if !limits.devices.is_empty() {
                    let dir = self.v1_for("devices", "devices")?;
                    devices::apply_v1(dir, &limits.devices)?;
                }
                v1::apply(self, limits)
            }
        }
    }

    /// The v1 directory of a controller, or the error that the field cannot be set without it.
    fn v1_for(&self, controller: &'static str, field: &'static str) -> Result<&std::path::Path> {
        self.v1_path(controller).ok_or(Error::NoController { controller, field })
    }
}

/// Values that depend on each other: those that the kernel finds invalid now are tried again
/// after the others, as long as that helps.
fn settle(controller: &'static str, dir: &std::path::Path, values: Vec<(&str, String)>) -> Result<()> {
    let mut left = values;
    loop {
        let before = left.len();
        let mut refused = Vec::new();
        let mut last = None;
        for (file, value) in left {
            match crate::file::write(controller, dir, file, &value) {
                Err(e) if e.is(rustix::io::Errno::INVAL) => {
                    last = Some(e);
                    refused.push((file, value));
                }
                other => other?,
            }
        }
        match last {
            Some(e) if refused.len() == before => return Err(e),
            Some(_) => left = refused,
            None => return Ok(()),
        }
    }
}
