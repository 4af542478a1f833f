//! Identifiers: namespaces, containers, sandboxes, execs.

use errdefs::{Error, Result};

/// Longest identifier, bytes.
const MAX_LENGTH: usize = 76;
const PATTERN: &str = "^[A-Za-z0-9]+(?:[._-](?:[A-Za-z0-9]+))*$";

/// Checks an identifier by containerd's rule: alphanumeric words joined by single `.`, `_` or `-`.
pub fn validate_identifier(text: &str) -> Result<()> {
    if text.is_empty() {
        return Err(Error::invalid_argument("identifier must not be empty"));
    }
    if text.len() > MAX_LENGTH {
        return Err(Error::invalid_argument(format!(
            "identifier {text:?} greater than maximum length ({MAX_LENGTH} characters)"
        )));
    }
    let words = text
        .split(['.', '_', '-'])
        .all(|word| !word.is_empty() && word.bytes().all(|b| b.is_ascii_alphanumeric()));
    if !words {
        return Err(Error::invalid_argument(format!("identifier {text:?} must match {PATTERN}")));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_joined_by_single_marks() {
        for good in ["a", "A-b_c.d", "0", "moby", &"x".repeat(76)] {
            validate_identifier(good).unwrap();
        }
        for bad in ["", "-a", "a-", "a..b", "a/b", "ä", "a b", &"x".repeat(77)] {
            assert_eq!(validate_identifier(bad).unwrap_err().kind(), errdefs::Kind::InvalidArgument, "{bad}");
        }
    }
}
