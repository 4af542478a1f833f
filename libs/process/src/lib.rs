//! What a container process is: user, capabilities, limits, priorities, program, signals.

pub mod capabilities;
pub mod limits;
pub mod program;
pub mod scheduling;
pub mod signal;
pub mod user;
