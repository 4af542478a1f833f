//! Stacks of their own for tests and trials: started, used, taken down, and the host found clean after.

pub mod containerd;
mod daemon;
mod host;
pub mod image;
mod invoke;
pub mod peer;
mod stack;
mod story;

pub use daemon::Daemon;
pub use host::Leftovers;
pub use invoke::{Invocation, Outcome};
pub use stack::{Programs, Stack, remove_network_of};
pub use story::{Client, Story, until};
