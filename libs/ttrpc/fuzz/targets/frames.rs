//! Any bytes, in any pieces: the frames that are found are the same, and read as what they say.
#![no_main]

use libfuzzer_sys::fuzz_target;
use ttrpc::{Decoder, Received, encode};

fn frames(pieces: impl Iterator<Item = Vec<u8>>) -> Vec<Received> {
    let (mut decoder, mut found) = (Decoder::default(), Vec::new());
    for piece in pieces {
        decoder.buffer().extend_from_slice(&piece);
        while let Some(frame) = decoder.next_frame() {
            found.push(frame);
        }
    }
    found
}

fuzz_target!(|input: (u8, Vec<u8>)| {
    let (size, bytes) = input;
    let whole = frames(std::iter::once(bytes.clone()));
    assert_eq!(whole, frames(bytes.chunks(usize::from(size) + 1).map(<[u8]>::to_vec)));
    for frame in whole {
        if let Received::Frame(header, data) = frame {
            let again = encode(header, &data).unwrap().to_vec();
            assert_eq!(frames(std::iter::once(again)), [Received::Frame(header, data)]);
        }
    }
});
