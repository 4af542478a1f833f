//! A failure as the caller of the command line sees it.

use std::fmt;

/// The text that is logged and the exit code.
#[derive(Debug)]
pub struct Failure {
    pub message: String,
    pub code: i32,
}

impl Failure {
    /// A failure with exit code 1, as runc gives for all but `exec`.
    pub fn new(message: impl Into<String>) -> Failure {
        Failure { message: message.into(), code: 1 }
    }

    /// Puts `prefix: ` in front.
    pub fn within(self, prefix: &str) -> Failure {
        Failure { message: format!("{prefix}: {}", self.message), ..self }
    }

    pub fn with_code(self, code: i32) -> Failure {
        Failure { code, ..self }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Failure {}

macro_rules! from_error {
    ($($kind:ty),*) => {
        $(impl From<$kind> for Failure {
            fn from(error: $kind) -> Failure {
                Failure::new(error.to_string())
            }
        })*
    };
}

from_error!(
    cgroups::Error,
    mount::ParseError,
    namespaces::JoinError,
    namespaces::MapError,
    resctrl::Error,
    rootfs::Error,
    process::program::NotFound,
    process::scheduling::Invalid
);

/// The kernel's text of an error, as Go's programs print it: lower case, no number.
pub fn reason(error: &std::io::Error) -> String {
    let text = error.to_string();
    let end = text.find(" (os error").unwrap_or(text.len());
    text[..end].to_lowercase()
}

/// Turns a result of the kernel into a failure that names what was tried.
pub trait Tried<T> {
    fn tried(self, what: impl fmt::Display) -> Result<T, Failure>;
}

impl<T> Tried<T> for std::io::Result<T> {
    fn tried(self, what: impl fmt::Display) -> Result<T, Failure> {
        self.map_err(|error| Failure::new(format!("{what}: {}", reason(&error))))
    }
}

impl<T> Tried<T> for rustix::io::Result<T> {
    fn tried(self, what: impl fmt::Display) -> Result<T, Failure> {
        self.map_err(std::io::Error::from).tried(what)
    }
}
