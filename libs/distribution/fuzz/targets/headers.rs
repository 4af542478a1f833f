//! Any `WWW-Authenticate` value and any proxy variables: read or refused.
#![no_main]

use distribution::{Challenge, Proxies};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: (&str, &str, &str)| {
    let (header, proxy, exceptions) = data;
    for challenge in Challenge::parse(header) {
        assert!(!challenge.scheme.is_empty());
        assert_eq!(challenge.scheme, challenge.scheme.to_ascii_lowercase());
    }
    let _ = Proxies::parse(proxy, proxy, exceptions);
});
