//! The person's terminal: size, raw mode, detach keys, signals.

mod detach_keys;
mod raw_mode;
mod signals;

use std::os::fd::AsFd;

pub use detach_keys::{DetachKeys, DetachScanner};
pub use raw_mode::RawMode;
pub use signals::{Signals, forwardable, signal_name};

/// Rows and columns of stdout's terminal; `None` where it is none or does not know.
pub fn window() -> Option<(u16, u16)> {
    window_of(std::io::stdout())
}

/// Rows and columns of a stream's terminal; `None` where it is none or does not know.
pub fn window_of(stream: impl AsFd) -> Option<(u16, u16)> {
    let size = rustix::termios::tcgetwinsize(stream).ok()?;
    (size.ws_col > 0).then_some((size.ws_row, size.ws_col))
}

/// Whether a stream is a terminal.
pub fn is_terminal(stream: impl AsFd) -> bool {
    rustix::termios::isatty(stream)
}
