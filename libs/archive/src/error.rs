//! What can go wrong with an archive.

use std::io;

/// Why an archive could not be read, written or applied.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The stream that carries the archive failed.
    #[error("cannot read archive: {0}")]
    Read(#[source] io::Error),
    /// The stream that takes the archive failed.
    #[error("cannot write archive: {0}")]
    Write(#[source] io::Error),
    /// The bytes are no archive, or ask for something that no archive may ask for.
    #[error("invalid archive: {0}")]
    Invalid(String),
    /// What the archive asks for depends on layers below that are not here yet.
    #[error("{0} is in a layer below")]
    NeedsLowers(String),
    /// A file could not be made or read.
    #[error("cannot {verb} {path}: {source}")]
    File {
        /// What was tried.
        verb: &'static str,
        /// Path within the root.
        path: String,
        #[source]
        source: io::Error,
    },
}

/// Shorthand for results with this crate's error.
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    pub(crate) fn invalid(text: impl Into<String>) -> Error {
        Error::Invalid(text.into())
    }

    pub(crate) fn needs_lowers(path: &[u8]) -> Error {
        Error::NeedsLowers(String::from_utf8_lossy(path).into_owned())
    }

    /// Names the call that failed and the path it failed on.
    pub(crate) fn file(verb: &'static str, path: &[u8], source: impl Into<io::Error>) -> Error {
        Error::File { verb, path: String::from_utf8_lossy(path).into_owned(), source: source.into() }
    }

    /// The class of the failure.
    pub fn kind(&self) -> errdefs::Kind {
        match self {
            Error::Invalid(_) => errdefs::Kind::InvalidArgument,
            Error::NeedsLowers(_) => errdefs::Kind::FailedPrecondition,
            Error::Read(source) | Error::Write(source) | Error::File { source, .. } => match source.kind() {
                io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => errdefs::Kind::ResourceExhausted,
                io::ErrorKind::UnexpectedEof | io::ErrorKind::InvalidData => errdefs::Kind::DataLoss,
                _ => errdefs::Kind::Unknown,
            },
        }
    }
}
