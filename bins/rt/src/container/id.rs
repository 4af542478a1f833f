//! Names of containers.

use std::fmt;

use crate::failure::Failure;

/// A name that is safe as a directory: letters, digits, `_ + - .`, not `.` at the start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Id(String);

/// One component of a path, NAME_MAX.
const LENGTH_MAX: usize = 255;

impl Id {
    pub fn parse(text: &str) -> Result<Id, Failure> {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_+-".contains(&byte);
        let valid = text.bytes().next().is_some_and(plain)
            && text.bytes().all(|byte| plain(byte) || byte == b'.')
            && text.len() <= LENGTH_MAX;
        match valid {
            true => Ok(Id(text.to_owned())),
            false if text.is_empty() => Err(Failure::new("container id cannot be empty")),
            false => Err(Failure::new("invalid container ID format")),
        }
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::Id;

    #[test]
    fn names_cannot_leave_their_directory() {
        for good in ["a", "A_b+c-d.e", "0", "-x"] {
            assert!(Id::parse(good).is_ok(), "{good}");
        }
        let long = "a".repeat(256);
        for bad in ["", ".", "..", "a/b", ".a", "a b", "a\n", "ä", long.as_str()] {
            assert!(Id::parse(bad).is_err(), "{bad}");
        }
    }
}
