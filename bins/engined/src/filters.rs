//! The `filters` parameter of list, prune and events calls.

use std::collections::BTreeMap;

use errdefs::{Error, Result};
use regex_lite::Regex;
use serde::Deserialize;

use crate::time::Time;

/// Wanted values by filter name; values of one filter are alternatives.
#[derive(Debug, Default, Clone)]
pub struct Filters(BTreeMap<String, Vec<String>>);

/// Alternatives, each a text or a regular expression that stands somewhere in what is looked at; what is no
/// expression is only the text.
pub struct Patterns(Vec<(String, Option<Regex>)>);

impl Patterns {
    /// Whether one of them fits.
    pub fn fit(&self, text: &str) -> bool {
        self.0.iter().any(|(wanted, pattern)| {
            wanted == text || pattern.as_ref().is_some_and(|pattern| pattern.is_match(text))
        })
    }
}

impl Filters {
    /// Reads either form that clients send: `{"name":["a"]}` and `{"name":{"a":true}}`.
    ///
    /// # Errors
    /// The text is no such JSON, or names a filter that is not among `known`.
    pub fn parse(json: &str, known: &[&str]) -> Result<Filters> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Values {
            List(Vec<String>),
            Set(BTreeMap<String, bool>),
        }
        if json.is_empty() {
            return Ok(Filters::default());
        }
        let read: Option<BTreeMap<String, Values>> = serde_json::from_str(json)
            .map_err(|_| Error::invalid_argument(format!("invalid filter: cannot read {json:?}")))?;
        let mut wanted = BTreeMap::new();
        for (name, values) in read.unwrap_or_default() {
            if !known.contains(&name.as_str()) {
                return Err(Error::invalid_argument(format!("invalid filter '{name}'")));
            }
            let values = match values {
                Values::List(list) => list,
                Values::Set(set) => set.into_iter().filter(|(_, on)| *on).map(|(value, _)| value).collect(),
            };
            wanted.insert(name, values);
        }
        Ok(Filters(wanted))
    }

    /// The values of a filter; `None` when it was not given.
    pub fn values(&self, name: &str) -> Option<&[String]> {
        self.0.get(name).map(Vec::as_slice).filter(|values| !values.is_empty())
    }

    /// Whether the filter is absent or one of its values is accepted.
    pub fn accepts(&self, name: &str, test: impl Fn(&str) -> bool) -> bool {
        self.values(name).is_none_or(|values| values.iter().any(|value| test(value)))
    }

    /// The values of a filter as patterns; `None` when it was not given.
    pub fn patterns(&self, name: &str) -> Option<Patterns> {
        self.values(name).map(|values| {
            let pattern = |text: &String| (text.clone(), Regex::new(text).ok());
            Patterns(values.iter().map(pattern).collect())
        })
    }

    /// A filter that is true or false; `None` when absent.
    ///
    /// # Errors
    /// The value is neither.
    pub fn truth(&self, name: &str) -> Result<Option<bool>> {
        let Some(values) = self.values(name) else { return Ok(None) };
        match values {
            [one] if matches!(one.as_str(), "1" | "true" | "True" | "TRUE" | "t") => Ok(Some(true)),
            [one] if matches!(one.as_str(), "0" | "false" | "False" | "FALSE" | "f") => Ok(Some(false)),
            _ => Err(Error::invalid_argument(format!("invalid filter '{name}={values:?}'"))),
        }
    }

    /// A filter that is a moment, or a length of time before now; `None` when absent.
    ///
    /// # Errors
    /// The value is neither, or there are several.
    pub fn moment(&self, name: &str) -> Result<Option<Time>> {
        let Some(values) = self.values(name) else { return Ok(None) };
        let [one] = values else {
            return Err(Error::invalid_argument(format!("more than one {name} filter specified")));
        };
        Time::before_now(one).map(Some).ok_or_else(|| {
            Error::invalid_argument(format!("invalid filter '{name}={one}': neither a time nor a duration"))
        })
    }

    /// Whether every `key` and `key=value` of the filter is among the labels.
    pub fn labels(&self, name: &str, labels: &BTreeMap<String, String>) -> bool {
        self.values(name).is_none_or(|wanted| {
            wanted.iter().all(|label| match label.split_once('=') {
                Some((key, value)) => labels.get(key).is_some_and(|found| found == value),
                None => labels.contains_key(label),
            })
        })
    }

    /// Whether none of the filter's labels is there (`label!`).
    pub fn without_labels(&self, labels: &BTreeMap<String, String>) -> bool {
        self.values("label!").is_none_or(|unwanted| {
            !unwanted.iter().any(|label| match label.split_once('=') {
                Some((key, value)) => labels.get(key).is_some_and(|found| found == value),
                None => labels.contains_key(label),
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn both_forms_are_read() {
        for json in [r#"{"status":["running"]}"#, r#"{"status":{"running":true,"exited":false}}"#] {
            let filters = Filters::parse(json, &["status"]).unwrap();
            assert!(filters.accepts("status", |value| value == "running"));
            assert!(!filters.accepts("status", |value| value == "exited"));
            assert!(filters.accepts("other", |_| false));
        }
    }

    #[test]
    fn an_unknown_filter_is_named() {
        let error = Filters::parse(r#"{"colour":["red"]}"#, &["status"]).unwrap_err();
        assert_eq!(error.to_string(), "invalid filter 'colour'");
    }

    #[test]
    fn labels_match_by_key_and_by_value() {
        let labels = BTreeMap::from([("a".to_owned(), "1".to_owned())]);
        let passes = |json: &str| Filters::parse(json, &["label", "label!"]).unwrap();
        assert!(passes(r#"{"label":["a"]}"#).labels("label", &labels));
        assert!(passes(r#"{"label":["a=1"]}"#).labels("label", &labels));
        assert!(!passes(r#"{"label":["a=1","b"]}"#).labels("label", &labels));
        assert!(!passes(r#"{"label!":["a"]}"#).without_labels(&labels));
    }

    #[test]
    fn names_match_by_expressions() {
        let filters = Filters::parse(r#"{"name":["^/?web[0-9]$","db|cache","a.b("]}"#, &["name"]).unwrap();
        let patterns = filters.patterns("name").unwrap();
        for name in ["web1", "/web2", "mydb", "a.b("] {
            assert!(patterns.fit(name), "{name}");
        }
        for name in ["web", "web12", "d"] {
            assert!(!patterns.fit(name), "{name}");
        }
        assert!(filters.patterns("other").is_none());
    }

    proptest! {
        #[test]
        fn any_text_is_survived(text in "\\PC{0,60}") {
            if let Ok(filters) = Filters::parse(&text, &["a"]) {
                let _ = filters.patterns("a").map(|patterns| patterns.fit(&text));
            }
        }
    }
}
