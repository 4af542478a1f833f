//! An OCI runtime driven by its command line (runc's: crun, youki and rt speak it too).
//!
//! Nothing is started here: each verb gives a [`std::process::Command`], to be run by whoever reaps
//! children. What went wrong is in the runtime's JSON log: [`Runtime::log_mark`] before a command,
//! [`Runtime::last_error`] after it.

mod log;
mod runtime;

pub use log::LogMark;
pub use runtime::{Checkpoint, Create, Restore, Runtime};
