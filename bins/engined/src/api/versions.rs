//! Which versions of the API are spoken.

use std::fmt;

use errdefs::{Error, Result};

/// A version such as 1.47.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version(pub u16, pub u16);

/// The oldest that is understood.
pub const MIN: Version = Version(1, 24);
/// Older ones that clients still pin (1.22 in copies of images), served as if they were the oldest.
const TOLERATED: Version = Version(1, 12);
/// The newest.
pub const MAX: Version = Version(1, 56);

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.0, self.1)
    }
}

/// Headers of every answer.
pub fn headers() -> [(&'static str, String); 4] {
    [
        ("api-version", MAX.to_string()),
        ("docker-experimental", "false".to_owned()),
        ("ostype", "linux".to_owned()),
        ("server", concat!("Wherry/", env!("CARGO_PKG_VERSION"), " (linux)").to_owned()),
    ]
}

/// Takes `/v1.NN` off a path; without it the newest version is meant.
///
/// # Errors
/// The version is too old or too new, in Docker's words.
pub fn split(path: &str) -> Result<(Version, &str)> {
    let Some((version, rest)) = prefix(path) else { return Ok((MAX, path)) };
    if version < TOLERATED {
        return Err(Error::invalid_argument(format!(
            "client version {version} is too old. Minimum supported API version is {MIN}, please upgrade your client to a newer version"
        )));
    }
    if version > MAX {
        return Err(Error::invalid_argument(format!(
            "client version {version} is too new. Maximum supported API version is {MAX}"
        )));
    }
    Ok((version.max(MIN), rest))
}

fn prefix(path: &str) -> Option<(Version, &str)> {
    let rest = path.strip_prefix("/v")?;
    let (version, _) = rest.split_once('/')?;
    let (major, minor) = version.split_once('.')?;
    let digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit()).then(|| text.parse().ok())?;
    Some((Version(digits(major)?, digits(minor)?), &rest[version.len()..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_with_and_without_version() {
        assert_eq!(split("/v1.40/containers/json").unwrap(), (Version(1, 40), "/containers/json"));
        assert_eq!(split("/v1.22/info").unwrap(), (MIN, "/info"));
        assert_eq!(split("/containers/json").unwrap(), (MAX, "/containers/json"));
        assert_eq!(split("/volumes/v1.2").unwrap(), (MAX, "/volumes/v1.2"));
        assert!(
            split("/v1.11/info")
                .unwrap_err()
                .to_string()
                .contains("too old. Minimum supported API version is 1.24")
        );
        assert!(split("/v1.99/info").unwrap_err().to_string().contains("too new"));
    }
}
