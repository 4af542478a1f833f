//! Any manifest, index and config.
#![no_main]

use images::document::{Document, parse, parse_config};
use libfuzzer_sys::fuzz_target;

const TYPES: [&str; 4] = [
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.docker.distribution.manifest.v2+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
];

fuzz_target!(|data: &[u8]| {
    for media_type in TYPES {
        // One document is one kind, whatever it is called (CVE-2021-41190).
        if let Ok(document) = parse(data, media_type) {
            let is_index = matches!(document, Document::Index(_));
            assert_eq!(is_index, media_type.contains("index") || media_type.contains("list"));
        }
    }
    let _ = parse_config(data);
});
