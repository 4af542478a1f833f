//! Log drivers: which there are, what may be said to each, and what the logger is told.

mod about;
mod options;

use engine_api::host_config::LogConfig;
use errdefs::{Error, Result};

use super::Container;
use crate::engine::Engine;

pub use about::attributes;
pub use options::check;

/// The drivers, in the words of `--log-driver`.
pub const DRIVERS: [&str; 7] = ["json-file", "local", "none", "syslog", "journald", "fluentd", "gelf"];

/// Whether the log goes to somebody else, with a copy kept here.
pub fn is_sent(kind: &str) -> bool {
    matches!(kind, "syslog" | "journald" | "fluentd" | "gelf")
}

/// How a container's log can be read back.
///
/// # Errors
/// Nothing is kept.
pub fn kept_as(log: &LogConfig) -> Result<logs::Driver> {
    let unread = || Error::invalid_argument("configured logging driver does not support reading");
    if log.kind == "none" || (is_sent(&log.kind) && options::is_true(&log.config, "cache-disabled")) {
        return Err(unread());
    }
    if is_sent(&log.kind) {
        return Ok(logs::Driver::Local);
    }
    log.kind.parse().map_err(|cause| Error::internal("cannot read the log").with_source(cause))
}

/// What the logger of a container is told beside driver, path and socket.
///
/// # Errors
/// A template or pattern among the options is malformed.
pub fn pairs(engine: &Engine, container: &Container) -> Result<Vec<(String, String)>> {
    let record = container.record();
    let log = &record.host_config.log_config;
    let given = log.config.iter().map(|(key, value)| (key.clone(), value.clone()));
    if !is_sent(&log.kind) {
        // A file takes every line at once: no mode slows a container.
        let mut pairs: Vec<(String, String)> =
            given.filter(|(key, _)| matches!(key.as_str(), "max-size" | "max-file")).collect();
        if log.kind == "json-file" {
            let attributes = about::attributes(engine, &record)?;
            if !attributes.is_empty() {
                let json = serde_json::to_string(&attributes).map_err(|cause| {
                    Error::internal("cannot encode a log's attributes").with_source(cause)
                })?;
                pairs.push(("attrs".to_owned(), json));
            }
        }
        return Ok(pairs);
    }
    let mut pairs: Vec<(String, String)> =
        given.filter(|(key, _)| key.starts_with(log.kind.as_str())).collect();
    pairs.extend(options::cache(&log.config));
    pairs.extend(about::of(engine, &record)?);
    Ok(pairs)
}
