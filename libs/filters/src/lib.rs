//! containerd's filter expressions: `name==redis,labels."k"~=^v`.
//!
//! Grammar (containerd pkg/filters): `selector(,selector)*`, a selector is `fieldpath[op value]`, the
//! operators are `==`, `!=` and `~=`. The selectors of one string must all match; of several strings one must.
//!
//! Patterns of `~=` are those of the regex-lite crate, which has RE2's syntax but for Unicode: no classes
//! `\p{..}`, and `\w`, `\d`, `\s`, `\b` and `(?i)` know ASCII alone. RE2's `\C`, `\Q..\E` and octal escapes are not
//! there. Bounds such as `{1,1000}` are limited by the size of the compiled pattern.

mod parse;
mod scan;

use errdefs::Result;
use regex_lite::Regex;
use std::borrow::Cow;

/// Something that filters look into.
pub trait Adaptor {
    /// The value at `path`; `None` when the field is absent.
    fn field(&self, path: &[&str]) -> Option<Cow<'_, str>>;
}

impl<F: Fn(&[&str]) -> Option<String>> Adaptor for F {
    fn field(&self, path: &[&str]) -> Option<Cow<'_, str>> {
        self(path).map(Cow::Owned)
    }
}

/// A list of filter strings: an object passes when one of them matches, or when there is none.
#[derive(Debug, Default)]
pub struct Filters(Vec<Filter>);

/// One filter string: all selectors must match.
#[derive(Debug)]
struct Filter(Vec<Selector>);

#[derive(Debug)]
struct Selector {
    path: Vec<String>,
    operator: Operator,
}

#[derive(Debug)]
enum Operator {
    Present,
    Equal(String),
    NotEqual(String),
    /// None is a pattern that cannot be compiled.
    Matches(Option<Regex>),
}

impl Filters {
    /// Parses every string; an empty one matches everything. Errors are invalid arguments.
    pub fn parse<S: AsRef<str>>(strings: &[S]) -> Result<Filters> {
        strings.iter().map(|text| parse::filter(text.as_ref())).collect::<Result<_>>().map(Filters)
    }

    /// Whether `object` passes.
    pub fn matches(&self, object: &(impl Adaptor + ?Sized)) -> bool {
        self.0.is_empty()
            || self.0.iter().any(|filter| filter.0.iter().all(|selector| selector.matches(object)))
    }

    /// Whether everything passes.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl Selector {
    fn matches(&self, object: &(impl Adaptor + ?Sized)) -> bool {
        let path: Vec<&str> = self.path.iter().map(String::as_str).collect();
        let value = object.field(&path);
        match &self.operator {
            Operator::Present => value.is_some(),
            Operator::Equal(wanted) => value.is_some_and(|value| value == wanted.as_str()),
            Operator::NotEqual(unwanted) => value.is_none_or(|value| value != unwanted.as_str()),
            Operator::Matches(pattern) => {
                value.is_some_and(|value| pattern.as_ref().is_some_and(|pattern| pattern.is_match(&value)))
            }
        }
    }
}

/// The value of a map field such as labels: the rest of the path, joined by dots, is the key.
pub fn map_field<'a>(
    map: &'a std::collections::HashMap<String, String>,
    path: &[&str],
) -> Option<Cow<'a, str>> {
    if path.is_empty() {
        return None;
    }
    map.get(&path.join(".")).map(|value| Cow::Borrowed(value.as_str()))
}

#[cfg(test)]
mod tests;
