//! The drivers: what a log looks like on disk.

use std::fmt;
use std::str::FromStr;

/// How a log is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Driver {
    /// Docker's json-file: one JSON object a line.
    JsonFile,
    /// Length-framed records, the bytes exactly as they came (see [`crate::local`]).
    Local,
    /// Nothing is kept; readers can still attach.
    None,
}

impl Driver {
    /// Docker's name of the driver.
    pub fn name(self) -> &'static str {
        match self {
            Driver::JsonFile => "json-file",
            Driver::Local => "local",
            Driver::None => "none",
        }
    }
}

impl fmt::Display for Driver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A name that is no driver of ours.
#[derive(Debug, thiserror::Error)]
#[error("no such log driver: {0}")]
pub struct UnknownDriver(pub String);

impl FromStr for Driver {
    type Err = UnknownDriver;

    fn from_str(name: &str) -> Result<Driver, UnknownDriver> {
        [Driver::JsonFile, Driver::Local, Driver::None]
            .into_iter()
            .find(|driver| driver.name() == name)
            .ok_or_else(|| UnknownDriver(name.to_owned()))
    }
}
