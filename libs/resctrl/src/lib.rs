//! Shares of caches and memory bandwidth for a container: classes of service and monitoring groups
//! of the resctrl filesystem (config-linux.md#intelrdt; Documentation/filesystems/resctrl.rst).

mod error;
mod filesystem;
mod group;
mod schemata;

pub use error::Error;
pub use filesystem::Resctrl;
pub use group::Group;
pub use schemata::is_line;
