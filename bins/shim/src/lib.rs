//! One container's keeper: serves the shim task API, drives an OCI runtime.
//!
//! A daemon runs `shim start`, which leaves a server behind and prints where it listens
//! ([`bootstrap`]); the server ([`serve`]) makes the container by an OCI runtime, holds its streams
//! and its log, reaps it, and tells the daemon of its events. `shim delete` cleans up after a
//! server that died.

pub mod arguments;
pub mod bootstrap;
pub mod delete;
pub mod info;
pub mod serve;

mod bundle;
mod cgroup;
mod command;
mod container;
mod events;
mod journal;
mod process;
mod reaper;
mod rest;
mod rootfs;
mod sandbox;
mod service;
mod task;

/// The runtime's name for daemons.
pub const NAME: &str = "io.containerd.wherry.v1";
