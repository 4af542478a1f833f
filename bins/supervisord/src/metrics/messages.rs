//! A body whose gRPC messages are counted as they pass.

use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};
use std::pin::Pin;
use std::task::{Context, Poll};
use tonic::codegen::http::HeaderMap;

/// A body, and whom to tell of messages that begin, and of the trailers.
pub struct Messages<T> {
    body: tonic::body::Body,
    lengths: Lengths,
    tell: T,
}

impl<T: FnMut(Option<&HeaderMap>, u64)> Messages<T> {
    pub fn new(body: tonic::body::Body, tell: T) -> Messages<T> {
        Messages { body, lengths: Lengths::default(), tell }
    }
}

impl<T: FnMut(Option<&HeaderMap>, u64) + Unpin> Body for Messages<T> {
    type Data = Bytes;
    type Error = tonic::Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, tonic::Status>>> {
        let polled = Pin::new(&mut self.body).poll_frame(context);
        if let Poll::Ready(Some(Ok(frame))) = &polled {
            let this = &mut *self;
            match (frame.data_ref(), frame.trailers_ref()) {
                (Some(data), _) => match this.lengths.pass(data) {
                    0 => {}
                    count => (this.tell)(None, count),
                },
                (None, trailers) => (this.tell)(trailers, 0),
            }
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// Where in the messages the bytes are: each has a flag, its length in four bytes, and so many bytes.
#[derive(Default)]
struct Lengths {
    prefix: [u8; 5],
    filled: usize,
    left: usize,
}

impl Lengths {
    /// How many messages begin in the next bytes.
    fn pass(&mut self, mut bytes: &[u8]) -> u64 {
        let mut begun = 0;
        while !bytes.is_empty() {
            let used = if self.left > 0 {
                let used = bytes.len().min(self.left);
                self.left -= used;
                used
            } else {
                let used = bytes.len().min(self.prefix.len() - self.filled);
                self.prefix[self.filled..self.filled + used].copy_from_slice(&bytes[..used]);
                self.filled += used;
                if self.filled == self.prefix.len() {
                    let [_, a, b, c, d] = self.prefix;
                    self.left = u32::from_be_bytes([a, b, c, d]) as usize;
                    self.filled = 0;
                    begun += 1;
                }
                used
            };
            bytes = &bytes[used..];
        }
        begun
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn messages_are_counted_however_the_bytes_come(
            sizes in prop::collection::vec(0usize..40, 0..12),
            cuts in prop::collection::vec(1usize..20, 1..10),
        ) {
            let message = |size: &usize| {
                let length = u32::try_from(*size).unwrap().to_be_bytes();
                [&[0][..], &length, &vec![7; *size]].concat()
            };
            let bytes: Vec<u8> = sizes.iter().flat_map(message).collect();
            let (mut lengths, mut rest, mut found) = (Lengths::default(), bytes.as_slice(), 0);
            for cut in cuts.iter().cycle() {
                let (piece, tail) = rest.split_at((*cut).min(rest.len()));
                found += lengths.pass(piece);
                rest = tail;
                if rest.is_empty() {
                    break;
                }
            }
            prop_assert_eq!(found as usize, sizes.len());
        }
    }
}
