//! What people and scripts read.

mod go_json;
pub mod inspect;
mod key_order;
pub mod progress;
mod stdcopy;
mod table;
mod template;
pub mod time;
pub mod units;

use std::io::{self, Write};

use crate::grammar::Failure;

pub use go_json::{indent, write_value};
pub use key_order::KeyOrder;
pub use stdcopy::{Demultiplexer, Target};
pub use table::align;
pub use template::{Column, Fault, Format, Row, Template, cell, labelled};

/// Exit code of a program whose reader went away (128 + SIGPIPE).
const BROKEN_PIPE: u8 = 141;

/// Writes to stdout.
///
/// # Errors
/// The reader is gone: the command ends without words.
pub fn print(text: impl AsRef<[u8]>) -> Result<(), Failure> {
    write_to(&mut io::stdout().lock(), text.as_ref())
}

/// Writes a line to stdout.
///
/// # Errors
/// As [`print`].
pub fn println(text: impl AsRef<str>) -> Result<(), Failure> {
    print(format!("{}\n", text.as_ref()))
}

/// Writes a line to stderr; nobody reading it is no failure.
pub fn note(text: impl AsRef<str>) {
    let _ = writeln!(io::stderr().lock(), "{}", text.as_ref());
}

/// Writes to stderr without ending the line.
pub fn mark(text: impl AsRef<str>) {
    let mut stderr = io::stderr().lock();
    let _ = stderr.write_all(text.as_ref().as_bytes()).and_then(|()| stderr.flush());
}

pub(crate) fn write_to(stream: &mut impl Write, bytes: &[u8]) -> Result<(), Failure> {
    stream.write_all(bytes).and_then(|()| stream.flush()).map_err(|error| match error.kind() {
        io::ErrorKind::BrokenPipe => Failure::silent(BROKEN_PIPE),
        _ => Failure::new(format!("cannot write output: {error}")),
    })
}
