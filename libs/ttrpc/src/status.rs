//! How a call fails: with a status from the other side, or with the connection.

use crate::message::WireStatus;
use errdefs::Kind;
use std::fmt;

/// A failure that crossed the wire, or will.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Status {
    /// A google.rpc.Code.
    pub code: i32,
    /// For people; peers expect it to end in the kind's bare text.
    pub message: String,
}

impl Status {
    /// A failure of `kind` with exactly this text.
    pub fn new(kind: Kind, message: impl Into<String>) -> Status {
        Status { code: kind.grpc_code(), message: message.into() }
    }

    /// The class of the failure.
    pub fn kind(&self) -> Kind {
        Kind::from_grpc_code(self.code)
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Status {}

impl From<errdefs::Error> for Status {
    fn from(error: errdefs::Error) -> Status {
        Status::new(error.kind(), error.wire_text())
    }
}

impl From<Status> for errdefs::Error {
    fn from(status: Status) -> errdefs::Error {
        errdefs::Error::new(status.kind(), status.message)
    }
}

impl From<WireStatus> for Status {
    fn from(wire: WireStatus) -> Status {
        Status { code: wire.code, message: wire.message }
    }
}

impl From<Status> for WireStatus {
    fn from(status: Status) -> WireStatus {
        WireStatus { code: status.code, message: status.message }
    }
}

/// Why a call has no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Error {
    /// The other side (or the deadline) said no.
    Status(Status),
    /// The connection ended first; whether the call was carried out is unknown.
    Closed,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Status(status) => status.fmt(f),
            Error::Closed => f.write_str("ttrpc: closed"),
        }
    }
}

impl std::error::Error for Error {}

impl From<Status> for Error {
    fn from(status: Status) -> Error {
        Error::Status(status)
    }
}

impl From<Error> for errdefs::Error {
    fn from(error: Error) -> errdefs::Error {
        match error {
            Error::Status(status) => status.into(),
            Error::Closed => errdefs::Error::unavailable("ttrpc: closed"),
        }
    }
}
