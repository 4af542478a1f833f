//! The verbs of the task service, one a file.

mod checkpoint;
mod close_io;
mod connect;
mod create;
mod delete;
mod exec;
mod kill;
mod pause;
mod pids;
mod resize_pty;
mod resume;
mod shutdown;
mod start;
mod state;
mod stats;
mod update;
mod wait;

pub(crate) use checkpoint::checkpoint;
pub(crate) use close_io::close_io;
pub(crate) use connect::connect;
pub(crate) use create::{create, make, prepare};
pub(crate) use delete::{delete, remove};
pub(crate) use exec::exec;
pub(crate) use kill::{kill, signal};
pub(crate) use pause::pause;
pub(crate) use pids::pids;
pub(crate) use resize_pty::resize_pty;
pub(crate) use resume::resume;
pub(crate) use shutdown::shutdown;
pub(crate) use start::{start, start_init};
pub(crate) use state::state;
pub(crate) use stats::{stats, usage};
pub(crate) use update::update;
pub(crate) use wait::wait;
