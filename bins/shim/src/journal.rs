//! The shim's own log: lines on stderr, which the daemon's fifo `log` in the bundle takes.

use rustix::fs::{Mode, OFlags};
use std::path::Path;

/// Sends stderr to the fifo, if there is one. Nothing ever waits for a daemon to read it: while
/// it is full, lines are lost.
pub(crate) fn open(bundle: &Path) {
    let flags = OFlags::RDWR | OFlags::NONBLOCK | OFlags::CLOEXEC;
    if let Ok(fifo) = rustix::fs::open(bundle.join("log"), flags, Mode::empty()) {
        // On failure stderr stays where it was.
        let _ = rustix::stdio::dup2_stderr(&fifo);
    }
}

/// Writes a line that something went wrong which nobody is told otherwise.
pub(crate) fn warn(message: &str) {
    write("warning", message);
}

/// Writes a line that was asked for.
pub(crate) fn info(message: &str) {
    write("info", message);
}

fn write(level: &str, message: &str) {
    use std::io::Write;
    let time = logs::Time::now().rfc3339();
    let _ = writeln!(std::io::stderr(), "time=\"{time}\" level={level} msg={message:?}");
}
