//! Any text for a stream's place: a path that comes of it is absolute.
#![no_main]

use libfuzzer_sys::fuzz_target;
use stdio::Target;

fuzz_target!(|text: &str| {
    match Target::parse(text) {
        Ok(Target::Fifo(path) | Target::File(path)) => assert!(path.is_absolute()),
        Ok(Target::Binary(uri)) => assert!(uri.path.is_absolute()),
        Ok(Target::Null) => assert!(text.is_empty()),
        Err(_) => {}
    }
});
