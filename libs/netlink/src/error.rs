//! What the kernel answered, in its own words.

use std::io;

/// Shorthand for this crate's results.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// A failed netlink exchange.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The kernel refused the request; `text` is its extended acknowledgement, when it gave one.
    #[error("{}{}", io::Error::from(*errno), text.as_deref().map(|t| format!(" ({t})")).unwrap_or_default())]
    Kernel {
        /// The error number.
        errno: rustix::io::Errno,
        /// The kernel's explanation.
        text: Option<String>,
    },
    /// The socket itself failed.
    #[error("netlink socket: {0}")]
    Socket(#[source] io::Error),
    /// The kernel sent something that is not netlink.
    #[error("malformed netlink message: {0}")]
    Malformed(&'static str),
    /// The answer did not come.
    #[error("the kernel did not acknowledge the netlink request")]
    NoAnswer,
}

impl Error {
    /// The kernel's error number, when it refused.
    pub fn errno(&self) -> Option<rustix::io::Errno> {
        match self {
            Error::Kernel { errno, .. } => Some(*errno),
            _ => None,
        }
    }

    /// The matching kind of [`io::Error`].
    pub fn io_kind(&self) -> io::ErrorKind {
        match self {
            Error::Kernel { errno, .. } => io::Error::from(*errno).kind(),
            Error::Socket(source) => source.kind(),
            Error::Malformed(_) => io::ErrorKind::InvalidData,
            Error::NoAnswer => io::ErrorKind::TimedOut,
        }
    }
}
