//! Any answer of a shim's `start`: where it serves, in a version that we speak, or an error.
#![no_main]
#![allow(dead_code, reason = "the daemon uses the rest of this file")]

#[path = "../../src/shims/bootstrap.rs"]
mod bootstrap;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|answer: &[u8]| {
    let _ = bootstrap::parse_endpoint(&String::from_utf8_lossy(answer), 3);
    if let Ok(shim) = bootstrap::parse_answer(answer) {
        assert!(shim.version == 2 || shim.version == 3);
        assert_eq!(shim.protocol, "ttrpc");
    }
});
