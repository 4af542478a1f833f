//! Names in and out, and properties that hold for every name.

use proptest::prelude::*;
use reference::{AnyReference, ParseError, Reference};

use wherry_reference as reference;

const HEX: &str = "a948904f2f0f479b8f8197694b30184b0d2ed1c1cd2a1ec0fb85d299a192a447";

#[test]
fn names_are_normalised() {
    let digest = format!("@sha256:{HEX}");
    let table = [
        ("busybox", "busybox", "docker.io/library/busybox"),
        ("busybox:1", "busybox:1", "docker.io/library/busybox:1"),
        ("library/busybox", "busybox", "docker.io/library/busybox"),
        ("docker.io/busybox", "busybox", "docker.io/library/busybox"),
        ("index.docker.io/library/busybox:x", "busybox:x", "docker.io/library/busybox:x"),
        ("user/app", "user/app", "docker.io/user/app"),
        ("library/a/b", "library/a/b", "docker.io/library/a/b"),
        ("localhost/a", "localhost/a", "localhost/a"),
        ("localhost:5000/a/b:t", "localhost:5000/a/b:t", "localhost:5000/a/b:t"),
        ("127.0.0.1:5000/a", "127.0.0.1:5000/a", "127.0.0.1:5000/a"),
        ("[::1]:5000/a", "[::1]:5000/a", "[::1]:5000/a"),
        ("quay.io/a/b.c__d---e", "quay.io/a/b.c__d---e", "quay.io/a/b.c__d---e"),
        ("Upper/app", "Upper/app", "Upper/app"),
        ("docker/docker", "docker/docker", "docker.io/docker/docker"),
        ("localhost:5000", "localhost:5000", "docker.io/library/localhost:5000"),
    ];
    for (text, familiar, canonical) in table {
        let parsed = Reference::parse_normalized(text).unwrap();
        assert_eq!(
            (parsed.familiar().as_str(), parsed.canonical().as_str()),
            (familiar, canonical),
            "{text}"
        );
        let parsed = Reference::parse_normalized(&format!("{text}{digest}")).unwrap();
        assert_eq!(parsed.canonical(), format!("{canonical}{digest}"), "{text}");
    }
}

#[test]
fn wrong_names_are_refused_in_dockers_words() {
    let table = [
        ("", "invalid reference format"),
        ("Busybox", "invalid reference format: repository name (library/Busybox) must be lowercase"),
        ("a/B:tag", "invalid reference format: repository name (a/B) must be lowercase"),
        ("a:TAG", ""),
        ("-a", "invalid reference format"),
        ("a-", "invalid reference format"),
        ("a..b", "invalid reference format"),
        ("a___b", "invalid reference format"),
        ("a//b", "invalid reference format"),
        ("a:", "invalid reference format"),
        ("a:-t", "invalid reference format"),
        ("a:b:c", "invalid reference format"),
        ("a@b", "invalid reference format"),
        ("a b", "invalid reference format"),
        ("http://x", "invalid reference format"),
        ("ünicode", "invalid reference format"),
    ];
    for (text, error) in table {
        let got = Reference::parse_normalized(text).map_or_else(|e| e.to_string(), |_| String::new());
        assert_eq!(got, error, "{text}");
    }
    assert_eq!(Reference::parse_normalized(HEX), Err(ParseError::Identifier(HEX.into())));
    let long = format!("a@sha256:{}", &HEX[..40]);
    assert_eq!(Reference::parse_normalized(&long).unwrap_err().to_string(), "invalid checksum digest length");
    let other = format!("a@md5:{}", &HEX[..32]);
    assert_eq!(Reference::parse_normalized(&other).unwrap_err().to_string(), "unsupported digest algorithm");
    assert_eq!(Reference::parse_normalized(&"a".repeat(300)), Err(ParseError::TooLong));
    assert_eq!(Reference::parse_normalized(&format!("a:{}", "t".repeat(129))), Err(ParseError::Format));
}

#[test]
fn tags_and_digests_come_and_go() {
    let plain = Reference::parse_normalized("a").unwrap();
    assert!(plain.is_name_only());
    let tagged = plain.clone().with_default_tag();
    assert_eq!(tagged.tag(), Some("latest"));
    assert_eq!(tagged.clone().with_tag("2").unwrap().familiar(), "a:2");
    assert!(tagged.with_tag("no good").is_err());
    assert_eq!(tagged.trim(), plain);
    let pinned = Reference::parse_normalized(&format!("a@sha256:{HEX}")).unwrap().with_default_tag();
    assert_eq!(pinned.tag(), None);
    assert_eq!(pinned.digest().unwrap().hex(), HEX);
    assert!(matches!(AnyReference::parse(HEX), Ok(AnyReference::Digest(_))));
    assert!(matches!(AnyReference::parse(&format!("sha256:{HEX}")), Ok(AnyReference::Digest(_))));
    assert!(matches!(AnyReference::parse("sha256:abc"), Ok(AnyReference::Named(_))));
}

proptest! {
    #[test]
    fn no_text_panics(text in ".{0,80}") {
        let _ = AnyReference::parse(&text);
    }

    #[test]
    fn what_is_shown_parses_to_itself(text in "([a-zA-Z0-9.-]{1,12}(:[0-9]{1,5})?/)?[a-z0-9._/-]{1,20}(:[a-zA-Z0-9_.-]{1,10})?") {
        if let Ok(parsed) = Reference::parse_normalized(&text) {
            prop_assert_eq!(&Reference::parse_normalized(&parsed.canonical()).unwrap(), &parsed);
            prop_assert_eq!(&Reference::parse_normalized(&parsed.familiar()).unwrap(), &parsed);
        }
    }
}
