//! Any filters and any object: refused as an argument, or matched in a time that the filter's length bounds.
#![no_main]

use errdefs::Kind;
use filters::Filters;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: (Vec<&str>, &str, &str)| {
    let (texts, name, value) = data;
    match Filters::parse(&texts) {
        Ok(filters) => {
            let matched = filters.matches(&|path: &[&str]| (path == [name]).then(|| value.to_owned()));
            assert!(matched || !filters.is_empty());
        }
        Err(error) => assert_eq!(error.kind(), Kind::InvalidArgument),
    }
});
