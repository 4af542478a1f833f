//! Values of flags, parsed: sizes, times, ports, mounts, volumes, devices, environments.

pub mod container;
pub mod container_flags;
pub mod context;
pub mod device;
pub mod duration;
pub mod environment;
pub mod filter;
pub mod health;
pub mod host;
pub mod mount;
pub mod network;
pub mod platform;
pub mod port;
pub mod proxy;
pub mod resources;
pub mod restart;
pub mod security;
pub mod size;
pub mod ulimit;

/// An empty list is none in the API.
fn some_list<T>(list: Vec<T>) -> Option<Vec<T>> {
    (!list.is_empty()).then_some(list)
}
