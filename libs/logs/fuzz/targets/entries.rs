//! Any bytes as a log of either format, and any line through both.
#![no_main]

use libfuzzer_sys::fuzz_target;
use logs::{Stream, Time, json_file, local};

fuzz_target!(|bytes: &[u8]| {
    let _ = json_file::take(bytes);
    let _ = local::take(bytes);
    let mut written = Vec::new();
    json_file::encode(&mut written, Stream::Stdout, "", "2026-01-02T03:04:05Z", bytes, true);
    let _ = json_file::take(&written);
    written.clear();
    local::encode(&mut written, Stream::Stderr, Time::now(), bytes, true);
    let _ = local::take(&written);
});
