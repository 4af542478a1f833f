//! What can go wrong between a client and an engine.

use std::io;

use crate::endpoint::Endpoint;

/// A failed call.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Nobody listens.
    #[error("Cannot connect to the Docker daemon at {endpoint}. Is the docker daemon running?")]
    Unreachable { endpoint: Endpoint, source: io::Error },
    #[error(
        "permission denied while trying to connect to the Docker daemon socket at {endpoint}: connect: permission denied"
    )]
    Permission { endpoint: Endpoint, source: io::Error },
    #[error("error during connect: {endpoint}: {source}")]
    Connect { endpoint: Endpoint, source: io::Error },
    /// A name that nothing has.
    #[error("invalid {kind} name or ID: value is empty")]
    EmptyName { kind: &'static str },
    /// The engine answered with an error.
    #[error("Error response from daemon: {message}")]
    Daemon { status: u16, message: String },
    /// The engine cannot do it: its API is older.
    #[error("\"{what}\" requires API version {needs}, but the Docker daemon API version is {has}")]
    TooOld { what: String, needs: crate::ApiVersion, has: crate::ApiVersion },
    #[error("error during connect: {0}")]
    Http(#[from] hyper::Error),
    #[error("cannot read the engine's answer: {0}")]
    Json(#[from] serde_json::Error),
    #[error("unable to upgrade to tcp, received {status}")]
    NoUpgrade { status: u16 },
    #[error(transparent)]
    Io(#[from] io::Error),
}

impl Error {
    /// The HTTP status of an error answer.
    pub fn status(&self) -> Option<u16> {
        match self {
            Self::Daemon { status, .. } => Some(*status),
            _ => None,
        }
    }

    /// 404.
    pub fn is_not_found(&self) -> bool {
        self.status() == Some(404)
    }

    /// No engine could be reached at all.
    pub fn is_unreachable(&self) -> bool {
        matches!(self, Self::Unreachable { .. } | Self::Permission { .. } | Self::Connect { .. })
    }
}
