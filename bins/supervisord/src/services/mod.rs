//! The services of the containerd API, each thin over what does the work.

mod checkpoint;
pub mod containers;
pub mod content;
pub mod context;
pub mod diff;
pub mod events;
pub mod health;
pub mod images;
pub mod introspection;
pub mod leases;
pub mod namespaces;
mod records;
pub mod reflection;
pub mod sandbox;
pub mod snapshots;
pub mod streaming;
pub mod tasks;
pub mod transfer;
pub mod version;
mod write;
