//! The process between the runtime and init, where there must be one.

use namespaces::{Kind, Plan};
use runtime_spec::TimeOffset;
use syscalls::clone::{self, Side, clone3, exit_now};

use super::channel::{Channel, Note};
use super::procfs::Procfs;
use crate::failure::{Failure, Tried};

/// Enters what only children can be in (pid, time) or what must be entered first, and makes init
/// as a sibling of its own. Returns in init; this process ends here.
pub fn become_init(
    plan: &Plan,
    offsets: &[(String, TimeOffset)],
    procfs: &Procfs,
    channel: &Channel,
) -> Result<(), Failure> {
    if plan.is_new(Kind::Time) {
        clone::unshare(Kind::Time.flag()).tried("cannot make a time namespace")?;
        if !offsets.is_empty() {
            let lines: String = offsets
                .iter()
                .map(|(clock, offset)| format!("{clock} {} {}\n", offset.secs, offset.nanosecs))
                .collect();
            procfs.write("self/timens_offsets", &lines).tried("cannot set /linux/timeOffsets")?;
        }
    }
    plan.join()?;
    let flags = plan.new_flags(|kind| !matches!(kind, Kind::Cgroup | Kind::Time));
    let request = clone::Request { flags: flags | libc::CLONE_PARENT as u64, ..Default::default() };
    match clone3(&request).tried("cannot make the container's process")? {
        Side::Child => Ok(()),
        Side::Parent { pid, .. } => {
            let sent = channel.send(&Note::Pid(pid.as_raw_nonzero().get()));
            exit_now(i32::from(sent.is_err()))
        }
    }
}
