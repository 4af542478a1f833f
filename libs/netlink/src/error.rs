//! What the kernel answered, in its own words.

use std::io;

use rustix::io::Errno;

use crate::parse::{Attributes, u32_at};

/// Shorthand for this crate's results.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// A failed netlink exchange.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The kernel refused the request.
    #[error("{}{}", io::Error::from(*errno), text.as_deref().map(|t| format!(" ({t})")).unwrap_or_default())]
    Kernel {
        /// The error number.
        errno: Errno,
        /// Its extended acknowledgement, when it gave one.
        text: Option<String>,
        /// Which message of the request it refused, from 0.
        message: usize,
    },
    /// The socket itself failed.
    #[error("netlink socket: {0}")]
    Socket(#[source] io::Error),
    /// Bytes that are not netlink.
    #[error("malformed netlink message: {0}")]
    Malformed(&'static str),
    /// The answer did not come.
    #[error("the kernel did not acknowledge the netlink request")]
    NoAnswer,
}

impl Error {
    /// The kernel's error number, when it refused.
    pub fn errno(&self) -> Option<Errno> {
        match self {
            Error::Kernel { errno, .. } => Some(*errno),
            _ => None,
        }
    }

    /// Which message of the request the kernel refused, from 0.
    pub fn message(&self) -> Option<usize> {
        match self {
            Error::Kernel { message, .. } => Some(*message),
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

    pub(crate) fn socket(errno: Errno) -> Error {
        Error::Socket(errno.into())
    }
}

/// The message is capped: the refused request's payload is not repeated.
const CAPPED: u16 = 0x100;
/// Attributes follow.
const ACK_TLVS: u16 = 0x200;
const ATTR_MSG: u16 = 1;

/// Reads the payload of an `NLMSG_ERROR` message. `None` is success.
pub(crate) fn acknowledgement(flags: u16, payload: &[u8]) -> Result<Option<(Errno, Option<String>)>> {
    let code = u32_at(payload, 0).ok_or(Error::Malformed("short acknowledgement"))? as i32;
    if code == 0 {
        return Ok(None);
    }
    let errno =
        code.checked_neg().filter(|code| (1..4096).contains(code)).ok_or(Error::Malformed("error number"))?;
    let repeated =
        if flags & CAPPED != 0 { 16 } else { u32_at(payload, 4).unwrap_or(16).min(1 << 20) as usize };
    let text = (flags & ACK_TLVS != 0)
        .then(|| Attributes::after(payload, 4 + repeated).find(ATTR_MSG)?.string())
        .flatten();
    Ok(Some((Errno::from_raw_os_error(errno), text.map(str::to_owned))))
}
