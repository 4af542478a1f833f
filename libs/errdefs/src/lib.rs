//! Kinds of failure shared by every floor, with the hint a person needs.
//!
//! The words and their mapping to gRPC codes are those of the containerd API: a message that
//! crosses the wire ends with `: <bare text>` of its kind, and clients turn the code back into
//! the kind. HTTP statuses and exit codes belong to the edges that speak them.

use std::error::Error as StdError;
use std::fmt;

/// What class of failure this is, independent of any protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// The request itself is malformed.
    InvalidArgument,
    /// The named object is absent.
    NotFound,
    /// The named object is there already.
    AlreadyExists,
    /// The object is in a state that does not allow the request.
    FailedPrecondition,
    /// The caller may not do this.
    PermissionDenied,
    /// The resource is busy or the peer is away; trying again may help.
    Unavailable,
    /// The operation does not exist here.
    Unimplemented,
    /// A limit was reached.
    ResourceExhausted,
    /// A concurrent change got in the way.
    Aborted,
    /// An offset or number lies outside its range.
    OutOfRange,
    /// Data was lost or is corrupt.
    DataLoss,
    /// The caller gave up.
    Canceled,
    /// The time allowed ran out.
    DeadlineExceeded,
    /// A fault of ours.
    Internal,
    /// Credentials are missing or wrong.
    Unauthenticated,
    /// Anything else.
    Unknown,
}

impl Kind {
    /// Every kind, in no particular order of importance.
    pub const ALL: [Kind; 16] = [
        Kind::InvalidArgument,
        Kind::NotFound,
        Kind::AlreadyExists,
        Kind::FailedPrecondition,
        Kind::PermissionDenied,
        Kind::Unavailable,
        Kind::Unimplemented,
        Kind::ResourceExhausted,
        Kind::Aborted,
        Kind::OutOfRange,
        Kind::DataLoss,
        Kind::Canceled,
        Kind::DeadlineExceeded,
        Kind::Internal,
        Kind::Unauthenticated,
        Kind::Unknown,
    ];

    /// The gRPC status code (google.rpc.Code) of this kind.
    pub fn grpc_code(self) -> i32 {
        match self {
            Kind::Canceled => 1,
            Kind::Unknown => 2,
            Kind::InvalidArgument => 3,
            Kind::DeadlineExceeded => 4,
            Kind::NotFound => 5,
            Kind::AlreadyExists => 6,
            Kind::PermissionDenied => 7,
            Kind::ResourceExhausted => 8,
            Kind::FailedPrecondition => 9,
            Kind::Aborted => 10,
            Kind::OutOfRange => 11,
            Kind::Unimplemented => 12,
            Kind::Internal => 13,
            Kind::Unavailable => 14,
            Kind::DataLoss => 15,
            Kind::Unauthenticated => 16,
        }
    }

    /// The kind of a gRPC status code; codes nobody defined are [`Kind::Unknown`].
    pub fn from_grpc_code(code: i32) -> Kind {
        Kind::ALL.into_iter().find(|kind| kind.grpc_code() == code).unwrap_or(Kind::Unknown)
    }

    /// The words that end a message of this kind on the containerd API.
    pub fn bare_text(self) -> &'static str {
        match self {
            Kind::InvalidArgument => "invalid argument",
            Kind::NotFound => "not found",
            Kind::AlreadyExists => "already exists",
            Kind::FailedPrecondition => "failed precondition",
            Kind::PermissionDenied => "permission denied",
            Kind::Unavailable => "unavailable",
            Kind::Unimplemented => "not implemented",
            Kind::ResourceExhausted => "resource exhausted",
            Kind::Aborted => "aborted",
            Kind::OutOfRange => "out of range",
            Kind::DataLoss => "data loss",
            Kind::Canceled => "context canceled",
            Kind::DeadlineExceeded => "context deadline exceeded",
            Kind::Internal => "internal",
            Kind::Unauthenticated => "unauthorized",
            Kind::Unknown => "unknown",
        }
    }
}

/// A failure with its kind, what was attempted on which object, its cause, and what to do.
#[derive(Debug)]
pub struct Error {
    kind: Kind,
    message: String,
    hint: Option<String>,
    source: Option<Box<dyn StdError + Send + Sync>>,
}

/// Shorthand for results with this crate's error.
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    /// A failure of `kind`; `message` is lowercase, without full stop, and names the object.
    pub fn new(kind: Kind, message: impl Into<String>) -> Error {
        Error { kind, message: message.into(), hint: None, source: None }
    }

    /// Keeps what went wrong underneath.
    #[must_use]
    pub fn with_source(mut self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Error {
        self.source = Some(source.into());
        self
    }

    /// Adds an imperative sentence that tells a person what to do.
    #[must_use]
    pub fn with_hint(mut self, hint: impl Into<String>) -> Error {
        self.hint = Some(hint.into());
        self
    }

    /// The class of the failure.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// What a person can do about it.
    pub fn hint(&self) -> Option<&str> {
        self.hint.as_deref()
    }

    /// What was attempted on which object, with the causes underneath, on one line.
    pub fn chain(&self) -> String {
        let mut text = self.message.clone();
        let mut cause = self.source();
        while let Some(error) = cause {
            text.push_str(": ");
            text.push_str(&error.to_string());
            cause = error.source();
        }
        text
    }

    /// The text for the containerd API: the chain, ending in the kind's bare text.
    pub fn wire_text(&self) -> String {
        let text = self.chain();
        let bare = self.kind.bare_text();
        if self.kind == Kind::Unknown || text.ends_with(bare) { text } else { format!("{text}: {bare}") }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.source.as_deref().map(|source| source as &(dyn StdError + 'static))
    }
}

macro_rules! shorthands {
    ($($name:ident => $kind:ident),* $(,)?) => {
        impl Error {
            $(
                #[doc = concat!("A failure of kind [`Kind::", stringify!($kind), "`].")]
                pub fn $name(message: impl Into<String>) -> Error {
                    Error::new(Kind::$kind, message)
                }
            )*
        }
    };
}

shorthands! {
    invalid_argument => InvalidArgument,
    not_found => NotFound,
    already_exists => AlreadyExists,
    failed_precondition => FailedPrecondition,
    permission_denied => PermissionDenied,
    unavailable => Unavailable,
    unimplemented => Unimplemented,
    out_of_range => OutOfRange,
    aborted => Aborted,
    internal => Internal,
    unknown => Unknown,
}

#[cfg(feature = "tonic")]
mod status {
    use super::{Error, Kind};

    impl From<Error> for tonic::Status {
        fn from(error: Error) -> tonic::Status {
            tonic::Status::new(tonic::Code::from_i32(error.kind().grpc_code()), error.wire_text())
        }
    }

    impl From<tonic::Status> for Error {
        fn from(status: tonic::Status) -> Error {
            Error::new(Kind::from_grpc_code(status.code() as i32), status.message())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_survives_the_wire() {
        for kind in Kind::ALL {
            assert_eq!(Kind::from_grpc_code(kind.grpc_code()), kind);
        }
        assert_eq!(Kind::from_grpc_code(99), Kind::Unknown);
    }

    #[test]
    fn wire_text_ends_in_the_bare_text_once() {
        let plain = Error::not_found("container \"a\"");
        assert_eq!(plain.wire_text(), "container \"a\": not found");
        let nested = Error::not_found("cannot load").with_source(Error::not_found("task: not found"));
        assert_eq!(nested.wire_text(), "cannot load: task: not found");
    }
}
