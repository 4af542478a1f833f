//! Any bytes as an archive: entries are told or refused, their bodies never longer than they say.
#![no_main]

use std::io::Read;

use archive::Reader;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let mut reader = Reader::new(data);
    while let Ok(Some(entry)) = reader.next_entry() {
        let held: u64 = match &entry.segments {
            Some(segments) => segments.iter().map(|segment| segment.length).sum(),
            None => entry.size,
        };
        let mut body = Vec::new();
        if reader.read_to_end(&mut body).is_err() {
            return;
        }
        assert!(body.len() as u64 >= held.min(data.len() as u64) || entry.segments.is_some());
    }
});
