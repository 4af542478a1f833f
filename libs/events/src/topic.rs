//! Topics: a path of identifiers, `/tasks/exit`.

use errdefs::{Error, Result};

/// Checks a topic by containerd's rules (events.v1.Events Publish).
pub fn validate(topic: &str) -> Result<()> {
    let refuse = |why: &str| Err(Error::invalid_argument(format!("envelope topic {topic:?}: {why}")));
    if topic.is_empty() {
        return refuse("must not be empty");
    }
    let Some(components) = topic.strip_prefix('/') else {
        return refuse("must start with '/'");
    };
    if components.is_empty() {
        return refuse("must have at least one component");
    }
    if components.split('/').all(is_identifier) {
        Ok(())
    } else {
        refuse("has a component that is no identifier")
    }
}

/// `^[A-Za-z0-9]+(?:[._-](?:[A-Za-z0-9]+))*$`, at most 76 bytes.
fn is_identifier(text: &str) -> bool {
    text.len() <= 76
        && text
            .split(['.', '_', '-'])
            .all(|part| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_alphanumeric()))
}

#[cfg(test)]
mod tests {
    use super::validate;

    #[test]
    fn topics_are_paths_of_identifiers() {
        for good in ["/tasks/exit", "/a", "/tasks/exec-added", "/a.b_c/d"] {
            assert!(validate(good).is_ok(), "{good}");
        }
        for bad in ["", "tasks", "/", "//a", "/a/", "/a b", "/a..b", "/-a"] {
            assert!(validate(bad).is_err(), "{bad}");
        }
    }
}
