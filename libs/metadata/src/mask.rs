//! Which fields an update changes.

use errdefs::{Error, Result};
use std::collections::HashMap;

/// Sets or removes one entry of a map as an update's path `labels.K` asks: what the new map lacks goes.
pub(crate) fn copy_entry<V: Clone>(target: &mut HashMap<String, V>, source: &HashMap<String, V>, key: &str) {
    match source.get(key) {
        Some(value) => drop(target.insert(key.to_owned(), value.clone())),
        None => drop(target.remove(key)),
    }
}

/// Changes labels by paths `labels` and `labels.K`; no path replaces them all. `object` (`content info "D"`)
/// ends the text that refuses another path.
pub(crate) fn update_labels(
    target: &mut HashMap<String, String>,
    source: &HashMap<String, String>,
    paths: &[String],
    object: impl Fn() -> String,
) -> Result<()> {
    if paths.is_empty() {
        *target = source.clone();
    }
    for path in paths {
        match (path.as_str(), path.strip_prefix("labels.")) {
            (_, Some(key)) => copy_entry(target, source, key),
            ("labels", _) => *target = source.clone(),
            _ => return Err(refused(path, &object())),
        }
    }
    drop_empty(target);
    Ok(())
}

/// The error for a path that cannot be updated.
pub(crate) fn refused(path: &str, object: &str) -> Error {
    Error::invalid_argument(format!("cannot update {path:?} field on {object}"))
}

/// A label without a value is no label.
pub(crate) fn drop_empty(labels: &mut HashMap<String, String>) {
    labels.retain(|_, value| !value.is_empty());
}
