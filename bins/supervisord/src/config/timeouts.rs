//! How long the daemon waits for others (`[timeouts]`).

use super::duration;
use errdefs::{Error, Result};
use std::collections::BTreeMap;
use std::sync::OnceLock;
use std::time::Duration;

/// How long shims may take.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Timeouts {
    /// To say how a task is.
    pub task_state: Duration,
    /// To answer when the daemon finds them again.
    pub shim_load: Duration,
    /// To clean up after a task or shim that died.
    pub shim_cleanup: Duration,
    /// To end when told to.
    pub shim_shutdown: Duration,
    /// To count what a task uses.
    pub shim_stats: Duration,
}

impl Default for Timeouts {
    /// containerd's.
    fn default() -> Timeouts {
        let seconds = Duration::from_secs;
        Timeouts {
            task_state: seconds(2),
            shim_load: seconds(5),
            shim_cleanup: seconds(5),
            shim_shutdown: seconds(3),
            shim_stats: seconds(2),
        }
    }
}

/// What the configuration says, once it is read.
static SET: OnceLock<Timeouts> = OnceLock::new();

impl Timeouts {
    /// Makes these the ones of this process.
    pub fn install(self) {
        // The configuration is read once.
        let _ = SET.set(self);
    }

    /// Those of this process.
    pub fn set() -> Timeouts {
        SET.get().copied().unwrap_or_default()
    }

    /// Parses the table; names that only containerd knows are warned of.
    pub fn parse(table: &BTreeMap<String, String>, warnings: &mut Vec<String>) -> Result<Timeouts> {
        let mut timeouts = Timeouts::default();
        for (name, text) in table {
            let wrong =
                |cause: Error| Error::invalid_argument(format!("timeouts.{name:?}")).with_source(cause);
            let given = duration::parse(text).map_err(wrong)?;
            let place = match name.strip_prefix("io.containerd.timeout.").unwrap_or_default() {
                "task.state" => &mut timeouts.task_state,
                "shim.load" => &mut timeouts.shim_load,
                "shim.cleanup" => &mut timeouts.shim_cleanup,
                "shim.shutdown" => &mut timeouts.shim_shutdown,
                "metrics.shimstats" => &mut timeouts.shim_stats,
                // Records that another daemon has open are refused at once, so there is no wait to limit.
                "bolt.open" | "cri.defercleanup" if given.is_zero() => continue,
                _ => {
                    warnings.push(format!("unknown key timeouts.{name:?}"));
                    continue;
                }
            };
            if given.is_zero() {
                return Err(wrong(Error::invalid_argument("must be longer than 0")));
            }
            *place = given;
        }
        Ok(timeouts)
    }
}
