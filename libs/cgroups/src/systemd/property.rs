//! Unit properties that a configuration's annotations ask for.

use std::collections::BTreeMap;

use super::Value;
use crate::error::{Error, Result};

const PREFIX: &str = "org.systemd.property.";

/// Reads `org.systemd.property.NAME` annotations, whose values are GVariant texts: `true`, `'a'`,
/// `uint64 5`, `5` (int32), `['a', 'b']`. A name that ends in `Sec` is given to systemd as `USec`,
/// which is what its bus interface has.
///
/// Errors: [`Error::Invalid`] for a name that is none and a value of another form.
pub fn properties(annotations: &BTreeMap<String, String>) -> Result<Vec<(String, Value)>> {
    let mut all = Vec::new();
    for (key, text) in annotations {
        let Some(name) = key.strip_prefix(PREFIX) else { continue };
        if name.len() < 3 || !name.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
            return Err(Error::invalid("annotation", key, "it names no property"));
        }
        let value = parse(text.trim())
            .ok_or_else(|| Error::invalid("annotation", key, "its value is not understood"))?;
        all.push(in_microseconds(name, value));
    }
    Ok(all)
}

fn in_microseconds(name: &str, value: Value) -> (String, Value) {
    const MICROS: u64 = 1_000_000;
    let stem = name.strip_suffix("Sec").filter(|stem| stem.ends_with(|c: char| c.is_ascii_lowercase()));
    let seconds = match value {
        Value::U64(number) => Some(number),
        Value::U32(number) => Some(u64::from(number)),
        Value::I32(number) => u64::try_from(number).ok(),
        _ => None,
    };
    match (stem, seconds) {
        (Some(stem), Some(seconds)) => (format!("{stem}USec"), Value::U64(seconds.saturating_mul(MICROS))),
        _ => (name.to_owned(), value),
    }
}

fn parse(text: &str) -> Option<Value> {
    if let Some(inner) = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')) {
        let items = inner.split(',').map(str::trim).filter(|item| !item.is_empty());
        return Some(Value::Texts(items.map(quoted).collect::<Option<_>>()?));
    }
    if let Some(text) = quoted(text) {
        return Some(Value::Text(text));
    }
    match text.split_once(' ') {
        Some(("uint64", number)) => number.trim().parse().ok().map(Value::U64),
        Some(("uint32", number)) => number.trim().parse().ok().map(Value::U32),
        Some(("int32", number)) => number.trim().parse().ok().map(Value::I32),
        Some(_) => None,
        None if text == "true" || text == "false" => Some(Value::Bool(text == "true")),
        None => text.parse().ok().map(Value::I32),
    }
}

/// A text in single or double quotes that holds neither a quote nor a backslash.
fn quoted(text: &str) -> Option<String> {
    let quote = text.chars().next().filter(|c| matches!(c, '\'' | '"'))?;
    let inner = text[1..].strip_suffix(quote)?;
    (!inner.contains(['\'', '"', '\\'])).then(|| inner.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(name: &str, value: &str) -> Option<(String, Value)> {
        let map = BTreeMap::from([(format!("{PREFIX}{name}"), value.to_owned())]);
        properties(&map).ok()?.pop()
    }

    #[test]
    fn values_have_types() {
        let some = |name: &str, value| Some((name.to_owned(), value));
        assert_eq!(
            read("CollectMode", "'inactive-or-failed'"),
            some("CollectMode", Value::Text("inactive-or-failed".into()))
        );
        assert_eq!(read("TimeoutStopUSec", "uint64 7"), some("TimeoutStopUSec", Value::U64(7)));
        assert_eq!(read("TimeoutStopSec", "2"), some("TimeoutStopUSec", Value::U64(2_000_000)));
        assert_eq!(
            read("Wants", "['a.slice', 'b']"),
            some("Wants", Value::Texts(vec!["a.slice".into(), "b".into()]))
        );
        assert_eq!(read("SendSIGHUP", "true"), some("SendSIGHUP", Value::Bool(true)));
    }

    #[test]
    fn what_is_not_understood_is_refused() {
        for (name, value) in [("X/y", "1"), ("ab", "1"), ("Name", "'x"), ("Name", "byte 1"), ("Name", "")] {
            assert_eq!(read(name, value), None, "{name} {value}");
        }
        assert!(properties(&BTreeMap::from([("other".into(), "x".into())])).unwrap().is_empty());
    }
}
