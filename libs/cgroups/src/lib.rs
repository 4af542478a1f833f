//! Control groups v1, v2 and hybrid.
//!
//! ```no_run
//! # use wherry_cgroups as cgroups;
//! # fn main() -> cgroups::Result<()> {
//! use cgroups::{Cgroup, Host, UnifiedBy};
//! use runtime_spec::Resources;
//! let host = Host::detect()?; // once: parses mountinfo
//! let group = Cgroup::resolve(&host, "/docker/4f2a", "4f2a")?; // linux.cgroupsPath, container id
//! group.create()?;
//! let limits = Resources::default(); // linux.resources
//! group.apply(&limits)?;
//! let join = group.join()?; // before the child is made
//! // child: clone3 with join.clone_into() if any, then
//! join.enter(UnifiedBy::Clone)?; // v1: writes 0 to each `tasks`; works after chroot
//! let saved = group.paths(); // into state.json; Cgroup::from_paths(&saved) brings it back
//! // the end
//! group.kill_all()?;
//! group.remove()?;
//! # Ok(()) }
//! ```
//!
//! Everything else hangs on [`Cgroup`] too: `freeze thaw freezer_state`, `processes
//! all_processes`, `signal_all wait_empty`, `stats`, `watch_oom`, `join_beside` and `subgroup` for
//! exec, `below` and `give_to` for what a container keeps by itself. A shim needs no specification type: `Cgroup::of_process(pid)?.stats()?`.
//!
//! Nothing here touches a directory outside of the group itself, except that v2 and cpuset need
//! the ancestors between the hierarchy's top and the group to pass controllers and CPUs down.
//! Groups that systemd owns (`--systemd-cgroup`): [`systemd`]. All calls block, none needs a runtime.

mod cgroup;
mod create;
mod delegate;
mod devices;
mod error;
mod file;
mod freeze;
mod host;
mod join;
mod kill;
mod limits;
mod oom;
mod processes;
mod remove;
pub mod stats;
pub mod systemd;
mod wait;

pub use cgroup::Cgroup;
pub use devices::{default_devices, device_fault};
pub use error::{Error, Result};
pub use freeze::FreezerState;
pub use host::{Hierarchy, Host, Mode};
pub use join::{Join, UnifiedBy};
pub use oom::{OomEvent, OomWatch};
pub use stats::Stats;
