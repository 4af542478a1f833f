//! Bringing a process into a container: the runtime's side, the process's side, and what they say
//! to each other.

mod affinity;
mod announce;
mod bundle;
mod channel;
mod console;
mod conversation;
mod create;
mod descriptors;
mod exec;
mod foreground;
mod group;
mod hooks;
mod init;
mod intermediate;
mod mounts;
mod net_devices;
mod notify;
mod procfs;
mod program;
mod restore;
mod seccomp_agent;
mod settle;
mod start;
mod terminal;
mod undo;

pub use bundle::Bundle;
pub use channel::{receive_with, send_with};
pub use create::{Request, create};
pub use exec::{Entry, enter};
pub use foreground::Relay;
pub use group::{Manager, ignored_limits, set_in_systemd, stop_in_systemd, with_default_devices};
pub use hooks::run_hooks;
pub use notify::Notify;
pub use restore::{Restore, restore};
pub use start::{Outcome, after_start, let_go, open_fifo};

/// How the process's streams are wired.
#[derive(Debug, Clone, Default)]
pub struct Streams {
    /// The caller goes on without us.
    pub detach: bool,
    /// A unix socket that takes the terminal's master.
    pub console_socket: Option<std::path::PathBuf>,
    /// A unix socket that takes the process's pidfd.
    pub pidfd_socket: Option<std::path::PathBuf>,
    /// Descriptors from 3 up that the process keeps.
    pub preserve_fds: i32,
    pub pid_file: Option<std::path::PathBuf>,
}
