//! Container logs: what a container's keeper writes, and what a reader gets back.
//!
//! Writing: [`Options`] say driver, file, rotation and attach socket; a [`Logger`] takes the bytes
//! of both streams, splits them into lines, writes them and hands them to attached readers.
//!
//! Reading, while the logger writes on or long after it is gone:
//!
//! ```ignore
//! let mut reader = logs::Reader::open(logs::Driver::JsonFile, path, logs::Selection {
//!     tail: Some(10), since: None, until: None,
//! })?;
//! reader.follow_until(stopped); // any future that resolves when the container has stopped
//! while let Some(entry) = reader.next().await? {
//!     write(entry.stream, entry.time.rfc3339(), &entry.line);
//! }
//! ```

mod attach;
mod desk;
mod driver;
mod entry;
mod file;
mod follow;
pub mod json_file;
mod lines;
pub mod local;
mod logger;
mod options;
mod read;
mod source;
mod time;

pub use driver::{Driver, UnknownDriver};
pub use entry::{Entry, Stream};
pub use logger::{Logger, Loss};
pub use options::{OptionError, Options};
pub use read::{Reader, Selection};
pub use time::Time;
