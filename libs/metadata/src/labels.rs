//! Labels: limits and the marks that steer the collector.

use crate::Labels;
use errdefs::{Error, Result};

/// Longest key plus value, bytes.
const MAX_SIZE: usize = 4096;

/// Checks the size limits of labels; `prefix` (`containers.Labels`) leads the text of a refusal.
pub fn validate_labels(prefix: &str, labels: &Labels) -> Result<()> {
    for (key, value) in labels {
        let size = key.len() + value.len();
        if size > MAX_SIZE {
            let shown: String = key.chars().take(64).collect();
            return Err(Error::invalid_argument(format!(
                "{prefix}: label key and value length ({size} bytes) greater than maximum size ({MAX_SIZE} bytes), key: {shown}"
            )));
        }
    }
    Ok(())
}

/// The time a record is stamped with.
pub(crate) fn now() -> containerd_api::Timestamp {
    events::timestamp(std::time::SystemTime::now())
}
