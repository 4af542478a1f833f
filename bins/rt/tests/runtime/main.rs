//! The runtime on its command line, with bundles of a static busybox, as root.

mod annotations;
mod as_crun;
mod as_runc;
mod attacks;
mod bundle;
mod checkpoint;
mod devices;
mod errors;
mod exec;
mod features;
mod hooks;
mod isolation;
mod lifecycle;
mod limits;
mod mounts;
mod notify;
mod rootless;
mod scheduling;
mod security;
mod sockets;
mod terminal;
