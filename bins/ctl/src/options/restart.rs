//! `--restart`.

use engine_api::host_config::RestartPolicy;

/// `no`, `always`, `unless-stopped`, `on-failure[:MAX]`.
///
/// # Errors
/// Docker's text for a count that is none; names are the engine's to judge.
pub fn policy(text: &str) -> Result<RestartPolicy, String> {
    let (name, count) = text.split_once(':').unwrap_or((text, ""));
    if name.is_empty() && text.contains(':') {
        return Err("invalid restart policy format: no policy provided before colon".to_owned());
    }
    let maximum_retry_count = match count {
        "" => 0,
        count => count.parse().map_err(|_| {
            "invalid restart policy format: maximum retry count must be an integer".to_owned()
        })?,
    };
    let name = if name.is_empty() { "no" } else { name };
    Ok(RestartPolicy { name: name.to_owned(), maximum_retry_count })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_count_of_retries() {
        assert_eq!(policy("on-failure:3").unwrap().maximum_retry_count, 3);
        assert_eq!(policy("").unwrap().name, "no");
        assert!(policy(":3").is_err() && policy("on-failure:x").is_err());
    }
}
