//! Values of flags, parsed: sizes, times, ports, mounts, volumes, devices, environments.

pub mod container;
pub mod container_flags;
pub mod context;
pub mod device;
pub mod duration;
pub mod environment;
pub mod filter;
pub mod mount;
pub mod network;
pub mod platform;
pub mod port;
pub mod proxy;
pub mod size;
pub mod ulimit;
