//! The tree a container sees: mounts, devices, masks, the console, and the change of root.
//!
//! After the root itself is opened nothing here walks a path on its own: every name is resolved
//! by openat2(2) inside the root, and mounts are attached to what was opened, so a container
//! that swaps a name for a link cannot lead us out.

mod cgroup;
mod console;
mod devices;
mod error;
mod mounts;
mod pivot;
mod protect;
mod walk;

pub use cgroup::Hierarchy;
pub use console::Console;
pub use devices::{make_devices, make_links};
pub use error::Error;
pub use mounts::{Mapper, Mounter, Prepared};
pub use pivot::{
    change_root, chroot_into, chroot_shared, enter_shared, enter_tree, leave_shared, mount_id, propagation_of,
};
pub use protect::Protector;
pub use walk::Root;
