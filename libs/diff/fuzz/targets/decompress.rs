//! Any bytes as a layer's stream: plain ones come back as they are, others are read to an end or refused.
#![no_main]

use std::io::Read;

use diff::{Compression, decompress};
use libfuzzer_sys::fuzz_target;

/// A small stream may unfold to more than memory holds.
const ENOUGH: u64 = 16 << 20;

fuzz_target!(|data: &[u8]| {
    let Ok((compression, stream)) = decompress(data) else { return };
    let mut bytes = Vec::new();
    let read = stream.take(ENOUGH).read_to_end(&mut bytes);
    if compression == Compression::None {
        assert!(read.is_ok() && bytes == data);
    }
});
