//! Any config.json: it is refused, or it has what the making of a container relies on.
#![no_main]
#![allow(dead_code, reason = "the runtime uses the rest of these files")]

#[path = "../../src/annotations.rs"]
mod annotations;
#[path = "../../src/failure.rs"]
mod failure;
#[path = "../../src/validate/mod.rs"]
mod validate;

use libfuzzer_sys::fuzz_target;
use runtime_spec::Spec;

fuzz_target!(|data: &[u8]| {
    let Ok(spec) = serde_json::from_slice::<Spec>(data) else { return };
    if validate::check(&spec).is_ok() {
        assert!(spec.root.is_some() && spec.linux.is_some());
        assert!(!spec.process.unwrap_or_default().args.is_empty());
    }
});
