//! Any frames survive any cutting; any bytes are survived.

use proptest::prelude::*;
use wherry_ttrpc::{Decoder, Header, MAX_DATA_BYTES, MessageType, Received, encode};

fn header() -> impl Strategy<Value = Header> {
    (any::<u32>(), 0_u8..6, any::<u8>()).prop_map(|(stream, kind, flags)| Header {
        stream,
        kind: match kind {
            1 => MessageType::Request,
            2 => MessageType::Response,
            3 => MessageType::Data,
            other => MessageType::Unknown(other),
        },
        flags,
    })
}

proptest! {
    #[test]
    fn frames_survive_cutting(
        frames in prop::collection::vec((header(), prop::collection::vec(any::<u8>(), 0..200)), 0..20),
        cut in 1_usize..50,
    ) {
        let wire: Vec<u8> = frames.iter().flat_map(|(header, data)| encode(*header, data).unwrap()).collect();
        let mut decoder = Decoder::default();
        let mut seen = Vec::new();
        for piece in wire.chunks(cut) {
            decoder.buffer().extend_from_slice(piece);
            while let Some(received) = decoder.next_frame() {
                seen.push(received);
            }
        }
        let expected: Vec<_> =
            frames.into_iter().map(|(header, data)| Received::Frame(header, data.into())).collect();
        prop_assert_eq!(seen, expected);
    }

    #[test]
    fn any_bytes_are_survived(bytes in prop::collection::vec(any::<u8>(), 0..300), cut in 1_usize..50) {
        let mut decoder = Decoder::default();
        let mut data = 0;
        for piece in bytes.chunks(cut) {
            decoder.buffer().extend_from_slice(piece);
            while let Some(received) = decoder.next_frame() {
                if let Received::Frame(_, bytes) = received {
                    data += bytes.len();
                }
            }
        }
        prop_assert!(data <= bytes.len());
    }
}

#[test]
fn oversized_data_is_skipped_and_the_next_frame_is_read() {
    let length = MAX_DATA_BYTES + 3;
    let mut wire = u32::try_from(length).unwrap().to_be_bytes().to_vec();
    wire.extend([0, 0, 0, 1, 1, 0]);
    wire.resize(wire.len() + length, 9);
    let next = Header { stream: 3, kind: MessageType::Request, flags: 0 };
    wire.extend(encode(next, b"hi").unwrap());
    let mut decoder = Decoder::default();
    let mut seen = Vec::new();
    for piece in wire.chunks(100_000) {
        decoder.buffer().extend_from_slice(piece);
        seen.extend(std::iter::from_fn(|| decoder.next_frame()));
    }
    let first = Header { stream: 1, kind: MessageType::Request, flags: 0 };
    assert_eq!(seen, [Received::Oversized(first, length), Received::Frame(next, b"hi"[..].into())]);
}
