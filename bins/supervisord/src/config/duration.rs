//! Durations of the configuration.

use errdefs::{Error, Result};
use std::time::Duration;

/// Parses what Go writes: `1h2m`, `100ms`, `0`.
pub fn parse(text: &str) -> Result<Duration> {
    containerd_api::parse_duration(text.trim()).ok_or_else(|| {
        Error::invalid_argument(format!("not a duration: {text:?}, want a number and a unit such as 100ms"))
    })
}
