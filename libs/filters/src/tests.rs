//! What filters accept and match.

use super::*;
use proptest::prelude::*;
use std::collections::HashMap;

struct Object {
    name: &'static str,
    labels: HashMap<String, String>,
}

impl Adaptor for Object {
    fn field(&self, path: &[&str]) -> Option<Cow<'_, str>> {
        match path {
            ["name"] => Some(Cow::Borrowed(self.name)),
            ["labels", key @ ..] => map_field(&self.labels, key),
            _ => None,
        }
    }
}

fn object() -> Object {
    let labels = [("foo", "true"), ("very.long", "a,b"), ("io/x", "1 2")];
    Object { name: "bazo", labels: labels.map(|(k, v)| (k.to_owned(), v.to_owned())).into() }
}

fn matches(filter: &str) -> bool {
    Filters::parse(&[filter]).unwrap().matches(&object())
}

#[test]
fn selectors_match() {
    for yes in [
        "",
        "name",
        "name==bazo",
        "name!=x",
        "name~=^b",
        "name~=/az/",
        "name~=|^b.z|",
        "labels.foo",
        "labels.foo==true",
        "labels.very.long==\"a,b\"",
        "labels.\"very.long\"==\"a,b\"",
        "labels.\"io/x\"==\"1 2\"",
        "absent!=x",
        "name==bazo,labels.foo",
        "name==\"b\\x61zo\"",
        "name~=|a\\\\?z|",
        // As containerd's Go client writes it.
        "name==bazo, labels.foo==true",
        " name == bazo , labels . foo != x ",
        "name ~= |^b|\t,\nlabels.foo",
    ] {
        assert!(matches(yes), "{yes}");
    }
    for no in [
        "name==x",
        "name!=bazo",
        "name~=^a",
        "labels.bar",
        "labels",
        "absent",
        "absent==x",
        "name==bazo,labels.bar",
        // A pattern that cannot be compiled matches nothing.
        "name~=\"(\"",
        "name~=[",
    ] {
        assert!(!matches(no), "{no}");
    }
}

#[test]
fn one_of_many_is_enough() {
    assert!(Filters::parse(&["name==x", "labels.foo"]).unwrap().matches(&object()));
    assert!(Filters::parse::<&str>(&[]).unwrap().matches(&object()));
    assert!(!Filters::parse(&["name==x", "name==y"]).unwrap().matches(&object()));
}

#[test]
fn malformed_ones_are_invalid_arguments() {
    for bad in [
        "name==",
        "==x",
        "name=x",
        "name~x",
        "name,,x",
        "name==a b",
        ",",
        "name.",
        "1x",
        "\"a",
        "name==\"\\q\"",
    ] {
        let error = Filters::parse(&[bad]).expect_err(bad);
        assert_eq!(error.kind(), errdefs::Kind::InvalidArgument, "{bad}");
    }
}

proptest! {
    #[test]
    fn any_text_is_parsed_or_refused(text in "\\PC{0,40}") {
        let _ = Filters::parse(&[text]).map(|filters| filters.matches(&object()));
    }

    #[test]
    fn quoting_makes_any_value_safe(value in "[ -~]{0,20}") {
        let object = |path: &[&str]| (path == ["name"]).then(|| value.clone());
        let quoted = format!("name==\"{}\"", value.replace('\\', "\\\\").replace('"', "\\\""));
        prop_assert!(Filters::parse(&[quoted]).unwrap().matches(&object));
    }
}
