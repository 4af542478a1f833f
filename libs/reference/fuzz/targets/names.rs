//! Any name and digest: what is read is shown so that it reads as itself.
#![no_main]

use libfuzzer_sys::fuzz_target;
use reference::{AnyReference, Digest, Reference};

fuzz_target!(|text: &str| {
    if let Ok(name) = Reference::parse_normalized(text) {
        assert_eq!(Reference::parse_normalized(&name.canonical()).as_ref(), Ok(&name));
        assert_eq!(Reference::parse_normalized(&name.familiar()).as_ref(), Ok(&name));
    }
    if let Ok(digest) = Digest::parse(text) {
        assert_eq!(digest.to_string(), text);
    }
    let _ = AnyReference::parse(text);
});
