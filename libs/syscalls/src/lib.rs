//! Every kernel call that needs unsafe, typed.
pub mod clone;
pub mod descriptors;
pub mod exec;
pub mod keyring;
pub mod mount_attr;
pub mod sched;
pub mod signals;
pub mod netns;
pub mod bpf;
pub mod seccomp;
pub mod loopback;
pub mod spawn;
pub mod entry;
pub mod usage;
