//! Standard streams of contained processes: where they go, and the copying.
//!
//! A [`Target`] is what a client asked for. Pipes or a terminal's master stand on the process's
//! side; [`Output`] and [`Input`] copy between the two without ever blocking the thread: fifos are
//! opened for both directions, so an end that comes late or goes early stops nobody.

mod appended;
mod console;
mod copy;
mod fifo;
mod log_program;
mod pipe;
mod sink;
mod target;

pub use appended::{Appended, Tell};
pub use console::{ConsoleSocket, resize};
pub use copy::{Input, Output};
pub use fifo::open_input;
pub use log_program::LogProgram;
pub use pipe::{Pipe, pipe};
pub use sink::Sink;
pub use target::{BinaryUri, Target, TargetError};
