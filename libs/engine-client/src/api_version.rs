//! Versions of the API: `1.44`.

use std::fmt;
use std::str::FromStr;

/// A version of the Engine API, ordered by number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ApiVersion {
    pub major: u16,
    pub minor: u16,
}

impl ApiVersion {
    /// The newest version this client speaks.
    pub const NEWEST: Self = Self { major: 1, minor: 50 };
    /// What an engine speaks whose ping names no version.
    pub const OLDEST: Self = Self { major: 1, minor: 24 };
}

impl fmt::Display for ApiVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}

/// The text is not `MAJOR.MINOR`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("invalid API version '{0}'")]
pub struct InvalidApiVersion(String);

impl FromStr for ApiVersion {
    type Err = InvalidApiVersion;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let invalid = || InvalidApiVersion(text.to_owned());
        let (major, minor) = text.trim_start_matches('v').split_once('.').ok_or_else(invalid)?;
        Ok(Self {
            major: major.parse().map_err(|_| invalid())?,
            minor: minor.parse().map_err(|_| invalid())?,
        })
    }
}
