//! Any bytes of a client's connection, in pieces: none is added or lost, and only percent signs change.
#![no_main]
#![allow(dead_code, reason = "the daemon uses the rest of this file")]

#[path = "../../src/authority.rs"]
mod authority;

use libfuzzer_sys::fuzz_target;
use tokio::io::AsyncReadExt;

fuzz_target!(|data: (&[u8], u8)| {
    let (sent, piece) = data;
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    let mut received = Vec::new();
    runtime.block_on(async {
        let mut connection = authority::Lenient::new(sent);
        let mut buffer = vec![0; usize::from(piece) + 1];
        while let Ok(count @ 1..) = connection.read(&mut buffer).await {
            received.extend_from_slice(&buffer[..count]);
        }
    });
    assert_eq!(received.len(), sent.len());
    for (before, after) in sent.iter().zip(&received) {
        assert!(before == after || (*before == b'%' && *after == b'-'));
    }
});
