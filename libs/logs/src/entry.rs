//! One logged line, or a piece of a long one.

use crate::Time;

/// Which stream a byte came from; the numbers are those of Docker's attach framing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Stream {
    /// Standard output, or the terminal.
    Stdout = 1,
    /// Standard error.
    Stderr = 2,
}

impl Stream {
    /// `stdout` or `stderr`.
    pub fn name(self) -> &'static str {
        match self {
            Stream::Stdout => "stdout",
            Stream::Stderr => "stderr",
        }
    }
}

/// What a reader gets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Where it came from.
    pub stream: Stream,
    /// When the logger got the line's first byte.
    pub time: Time,
    /// With its newline; a piece without one is continued by the next entry of the stream, or is
    /// all that the container wrote before its end.
    pub line: Vec<u8>,
}

impl Entry {
    /// Whether the line ends elsewhere.
    pub fn is_partial(&self) -> bool {
        self.line.last() != Some(&b'\n')
    }
}
