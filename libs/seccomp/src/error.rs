//! Why a profile cannot be used.

use std::fmt;
use std::io;

use errdefs::Kind;

/// A profile that cannot be compiled or loaded.
#[derive(Debug)]
pub enum Error {
    /// A word of the profile that this version does not know: what kind of word, and the word.
    Unknown { what: &'static str, word: String },
    /// SCMP_ACT_NOTIFY where it would lock the container up.
    Notify(&'static str),
    /// A condition or a number outside of its range.
    Invalid { call: String, reason: &'static str },
    /// The filter is longer than the kernel takes.
    TooLong(usize),
    /// This program runs on an architecture that it has no table for.
    NativeArch,
    /// The kernel refused the filter.
    Load(io::Error),
}

/// Shorthand for this crate's results.
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    /// The class of this failure.
    pub fn kind(&self) -> Kind {
        match self {
            Error::Unknown { .. } | Error::Notify(_) | Error::Invalid { .. } | Error::TooLong(_) => {
                Kind::InvalidArgument
            }
            Error::NativeArch => Kind::Unimplemented,
            Error::Load(e) if e.kind() == io::ErrorKind::PermissionDenied => Kind::PermissionDenied,
            Error::Load(_) => Kind::FailedPrecondition,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Unknown { what, word } => {
                write!(f, "cannot compile seccomp profile: unknown {what} {word:?}")
            }
            Error::Notify(place) => write!(f, "SCMP_ACT_NOTIFY cannot be used {place}"),
            Error::Invalid { call, reason } => {
                write!(f, "cannot compile seccomp rule for {call:?}: {reason}")
            }
            Error::TooLong(n) => {
                write!(f, "cannot compile seccomp profile: {n} instructions are more than the kernel's 4096")
            }
            Error::NativeArch => f.write_str("cannot compile seccomp profile: unsupported architecture"),
            Error::Load(e) => write!(f, "cannot load seccomp filter: {e}"),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Error::Load(e) => Some(e),
            _ => None,
        }
    }
}
