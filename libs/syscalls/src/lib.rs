//! Every kernel call that needs unsafe, typed.
pub mod bpf;
pub mod child;
pub mod clone;
pub mod descriptors;
pub mod entry;
pub mod exec;
pub mod image;
pub mod keyring;
pub mod loop_device;
pub mod loopback;
pub mod mount_attr;
pub mod netns;
pub mod sched;
pub mod seccomp;
pub mod signals;
pub mod spawn;
pub mod usage;
