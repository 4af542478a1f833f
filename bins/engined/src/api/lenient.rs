//! Request lines as people type them: `?filters={"name":["web"]}`.
//!
//! A URI holds no quotes, and hyper refuses one that does; Docker takes it. So in request lines, and there alone,
//! what no URI holds is encoded before hyper sees it.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};

use bytes::{Buf, BufMut, Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::socket::Socket;

/// Bytes that are read at a time while a request line is expected.
const PIECE_BYTES: usize = 4096;

/// Whether the next bytes of a connection are a request line.
#[derive(Clone)]
pub struct Expected(Arc<AtomicBool>);

impl Expected {
    /// A request without a body has been answered: what comes next is another one.
    pub fn again(&self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// A connection whose request lines may hold anything.
pub struct Lenient {
    socket: Socket,
    expected: Expected,
    /// Encoded, and not read yet.
    pending: BytesMut,
}

impl Lenient {
    /// A new connection, and its reader's way to say that a line is expected again.
    pub fn new(socket: Socket) -> (Lenient, Expected) {
        let expected = Expected(Arc::new(AtomicBool::new(true)));
        (Lenient { socket, expected: expected.clone(), pending: BytesMut::new() }, expected)
    }

    /// The connection, and what of it has not been read.
    pub fn into_parts(self) -> (Socket, Bytes) {
        (self.socket, self.pending.freeze())
    }
}

/// Encodes what no URI holds up to the end of the line; says whether it has ended.
fn encode(bytes: &[u8], into: &mut BytesMut) -> bool {
    let end = bytes.iter().position(|byte| *byte == b'\n').map_or(bytes.len(), |at| at + 1);
    let (line, rest) = bytes.split_at(end);
    for byte in line {
        match byte {
            b'"' => into.put_slice(b"%22"),
            b'<' => into.put_slice(b"%3C"),
            b'>' => into.put_slice(b"%3E"),
            byte => into.put_u8(*byte),
        }
    }
    into.put_slice(rest);
    line.ends_with(b"\n")
}

impl AsyncRead for Lenient {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.pending.is_empty() {
            if !self.expected.0.load(Ordering::Relaxed) {
                return Pin::new(&mut self.socket).poll_read(context, buffer);
            }
            let mut piece = [0; PIECE_BYTES];
            let mut read = ReadBuf::new(&mut piece);
            ready!(Pin::new(&mut self.socket).poll_read(context, &mut read))?;
            if encode(read.filled(), &mut self.pending) {
                self.expected.0.store(false, Ordering::Relaxed);
            }
        }
        let length = self.pending.len().min(buffer.remaining());
        buffer.put_slice(&self.pending[..length]);
        self.pending.advance(length);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Lenient {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.socket).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    #[test]
    fn quotes_of_the_line_are_encoded_and_no_others() {
        let mut all = BytesMut::new();
        assert!(!encode(b"GET /x?filters={\"a\":", &mut all));
        assert!(encode(b"[\"<b>\"]} HTTP/1.1\r\nX: \"y\"\r\n", &mut all));
        let wanted = b"GET /x?filters={%22a%22:[%22%3Cb%3E%22]} HTTP/1.1\r\nX: \"y\"\r\n";
        assert_eq!(&all[..], wanted);
    }

    #[tokio::test]
    async fn a_line_is_encoded_again_when_it_is_expected_again() {
        let (mut client, server) = tokio::net::UnixStream::pair().unwrap();
        let (mut lenient, expected) = Lenient::new(server.into());
        let mut read = async |bytes: &[u8], length: usize| {
            client.write_all(bytes).await.unwrap();
            let mut buffer = vec![0; length];
            lenient.read_exact(&mut buffer).await.unwrap();
            buffer
        };
        assert_eq!(read(b"\"\n\"", 5).await, b"%22\n\"");
        assert_eq!(read(b"\"\n", 2).await, b"\"\n");
        expected.again();
        assert_eq!(read(b"\"\n", 4).await, b"%22\n");
    }

    proptest! {
        #[test]
        fn nothing_else_is_changed(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
            let mut all = BytesMut::new();
            let has_ended = encode(&bytes, &mut all);
            prop_assert_eq!(has_ended, bytes.contains(&b'\n'));
            let plain = bytes.iter().take_while(|byte| **byte != b'\n').filter(|byte| b"\"<>".contains(byte)).count();
            prop_assert_eq!(all.len(), bytes.len() + 2 * plain);
        }
    }
}
