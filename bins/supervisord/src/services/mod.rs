//! The services of the containerd API, each thin over what does the work.

pub mod context;
pub mod events;
pub mod health;
pub mod introspection;
pub mod tasks;
pub mod version;
