//! `--filter name=value` to the engine's JSON.

use std::collections::BTreeMap;

/// Refuses a filter without `=`.
///
/// # Errors
/// Docker's text.
pub fn check(filter: &str) -> Result<(), String> {
    if filter.contains('=') { Ok(()) } else { Err("bad format of filter (expected name=value)".to_owned()) }
}

/// Filters as the API takes them: `{"name":{"value":true}}`; empty text without filters.
///
/// # Errors
/// A filter without `=`.
pub fn to_json(filters: &[String]) -> Result<String, String> {
    let mut all: BTreeMap<String, BTreeMap<&str, bool>> = BTreeMap::new();
    for filter in filters {
        check(filter)?;
        let (name, value) = filter.split_once('=').unwrap_or_default();
        all.entry(name.trim().to_lowercase()).or_default().insert(value.trim(), true);
    }
    if all.is_empty() {
        return Ok(String::new());
    }
    serde_json::to_string(&all).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    #[test]
    fn filters_become_sets() {
        let json = super::to_json(&["label=a=b".into(), "Label=c".into(), "name=x".into()]).unwrap();
        assert_eq!(json, r#"{"label":{"a=b":true,"c":true},"name":{"x":true}}"#);
        assert_eq!(super::to_json(&[]).unwrap(), "");
        assert!(super::to_json(&["x".into()]).is_err());
    }
}
