//! Lets in clients that name a unix socket in `:authority`.
//!
//! gRPC's C core, and so Python's client, sends the percent-encoded socket path there. The `http` crate takes
//! no `%` in an authority, and the HTTP/2 layer would reset each such call. The authority of a unix socket
//! says nothing to us, so each `%` in it becomes `-` as the bytes arrive: the length and with it the state of
//! header compression (RFC 7541) stay as the client has them.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tonic::transport::server::Connected;

/// A connection whose incoming `:authority` is made palatable.
pub struct Lenient<S> {
    stream: S,
    frames: Frames,
}

impl<S> Lenient<S> {
    pub fn new(stream: S) -> Lenient<S> {
        Lenient { stream, frames: Frames::default() }
    }
}

impl<S: Connected> Connected for Lenient<S> {
    type ConnectInfo = S::ConnectInfo;

    fn connect_info(&self) -> S::ConnectInfo {
        self.stream.connect_info()
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Lenient<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let polled = Pin::new(&mut self.stream).poll_read(context, buffer);
        self.frames.pass(&mut buffer.filled_mut()[before..]);
        polled
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Lenient<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        data: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, data)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        data: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, data)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

/// Length of the client's connection preface (RFC 9113, 3.4).
const PREFACE: usize = 24;
const HEADERS: u8 = 1;
const CONTINUATION: u8 = 9;
const PADDED: u8 = 0x08;
const PRIORITY: u8 = 0x20;

/// Where in the client's frames the bytes are.
#[derive(Default)]
struct Frames {
    /// Bytes of the preface seen.
    preface: usize,
    header: [u8; 9],
    header_filled: usize,
    /// Bytes of the payload to come.
    left: usize,
    /// How many of them are before and after the header block.
    lead: usize,
    pad: usize,
    /// The next byte says how long the padding is.
    wants_pad: bool,
    in_block: bool,
    fields: Fields,
}

impl Frames {
    /// Looks at the next bytes of the connection, and changes those of an authority.
    fn pass(&mut self, mut bytes: &mut [u8]) {
        while !bytes.is_empty() {
            let used = if self.preface < PREFACE {
                let used = bytes.len().min(PREFACE - self.preface);
                self.preface += used;
                used
            } else if self.header_filled < self.header.len() {
                self.take_header(bytes)
            } else {
                self.take_payload(bytes)
            };
            bytes = &mut bytes[used..];
            if self.header_filled == self.header.len() && self.left == 0 {
                self.header_filled = 0;
            }
        }
    }

    fn take_header(&mut self, bytes: &[u8]) -> usize {
        let used = bytes.len().min(self.header.len() - self.header_filled);
        self.header[self.header_filled..self.header_filled + used].copy_from_slice(&bytes[..used]);
        self.header_filled += used;
        if self.header_filled == self.header.len() {
            let [a, b, c, kind, flags, ..] = self.header;
            self.left = usize::from(a) << 16 | usize::from(b) << 8 | usize::from(c);
            self.in_block = matches!(kind, HEADERS | CONTINUATION);
            self.wants_pad = kind == HEADERS && flags & PADDED != 0;
            self.lead = if kind == HEADERS && flags & PRIORITY != 0 { 5 } else { 0 };
            self.pad = 0;
        }
        used
    }

    fn take_payload(&mut self, bytes: &mut [u8]) -> usize {
        let used = bytes.len().min(self.left);
        if !self.in_block {
            self.left -= used;
            return used;
        }
        for byte in &mut bytes[..used] {
            if self.wants_pad {
                self.wants_pad = false;
                self.pad = usize::from(*byte);
            } else if self.lead > 0 {
                self.lead -= 1;
            } else if self.left > self.pad {
                *byte = self.fields.pass(*byte);
            }
            self.left -= 1;
        }
        used
    }
}

/// Where in the header fields the bytes are (RFC 7541, 6).
#[derive(Clone, Copy, Default)]
enum Fields {
    /// A field begins.
    #[default]
    Start,
    /// The rest of a number that is of no interest.
    Number,
    /// The rest of a name's index, a large one.
    NameIndex,
    /// A string's length begins.
    Length { name: bool, authority: bool },
    /// It goes on.
    LengthRest { name: bool, authority: bool, plain: bool, value: usize, shift: u32 },
    /// In a string.
    Text { name: bool, authority: bool, plain: bool, left: usize },
}

/// The index of `:authority` in the static table.
const AUTHORITY: u8 = 1;
/// Its name, which some clients spell out.
const NAME: &[u8] = b":authority";

impl Fields {
    fn pass(&mut self, byte: u8) -> u8 {
        let mut out = byte;
        *self = match *self {
            Fields::Start => Fields::begin(byte),
            Fields::Number if byte & 0x80 != 0 => Fields::Number,
            Fields::Number => Fields::Start,
            Fields::NameIndex if byte & 0x80 != 0 => Fields::NameIndex,
            Fields::NameIndex => Fields::Length { name: false, authority: false },
            Fields::Length { name, authority } => {
                let (plain, value) = (byte & 0x80 == 0, usize::from(byte & 0x7f));
                if value == 0x7f {
                    Fields::LengthRest { name, authority, plain, value, shift: 0 }
                } else {
                    let spelled = name && plain && value == NAME.len();
                    Fields::text(name, authority || spelled, plain, value)
                }
            }
            Fields::LengthRest { name, authority, plain, value, shift } => {
                let more = usize::from(byte & 0x7f).checked_shl(shift).unwrap_or(0);
                let value = value.saturating_add(more);
                if byte & 0x80 != 0 {
                    Fields::LengthRest { name, authority, plain, value, shift: shift + 7 }
                } else {
                    Fields::text(name, authority, plain, value)
                }
            }
            Fields::Text { name, authority, plain, left } => {
                if name {
                    // What spells the name so far; only a name of this very length began as a match.
                    let matches = authority && NAME[NAME.len() - left] == byte;
                    Fields::text(name, matches, plain, left - 1)
                } else {
                    if authority && plain && byte == b'%' {
                        out = b'-';
                    }
                    Fields::text(name, authority, plain, left - 1)
                }
            }
        };
        out
    }

    /// What a field's first byte says comes next.
    fn begin(byte: u8) -> Fields {
        let (prefix, literal) = match byte {
            0x80.. => (0x7f, false),
            0x40.. => (0x3f, true),
            0x20.. => (0x1f, false),
            _ => (0x0f, true),
        };
        let index = byte & prefix;
        match (literal, index) {
            (false, index) if index == prefix => Fields::Number,
            (false, _) => Fields::Start,
            (true, 0) => Fields::Length { name: true, authority: false },
            (true, index) if index == prefix => Fields::NameIndex,
            (true, index) => Fields::Length { name: false, authority: index == AUTHORITY },
        }
    }

    /// What comes when `left` bytes of a string are to come.
    fn text(name: bool, authority: bool, plain: bool, left: usize) -> Fields {
        match (left, name) {
            (0, true) => Fields::Length { name: false, authority },
            (0, false) => Fields::Start,
            _ => Fields::Text { name, authority, plain, left },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn frame(kind: u8, flags: u8, payload: &[u8]) -> Vec<u8> {
        let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
        [&length[1..], &[kind, flags, 0, 0, 0, 1], payload].concat()
    }

    fn string(text: &str) -> Vec<u8> {
        let mut bytes = Vec::new();
        match text.len() {
            short @ ..0x7f => bytes.push(short as u8),
            long => bytes.extend([0x7f, ((long - 0x7f) & 0x7f) as u8 | 0x80, ((long - 0x7f) >> 7) as u8]),
        }
        bytes.extend(text.bytes());
        bytes
    }

    /// A connection with percent signs in its authority, in another header, and in data.
    fn connection(path: &str) -> Vec<u8> {
        let block = [
            &[0x83, 0x3f, 0x81, 0x10][..],
            &[0x40],
            &string("name%"),
            &string("value%"),
            &[0x0f, 0x31],
            &string("other%"),
            &[0x41],
            &string(path),
            &[0x40],
            &string(":authority"),
            &string(path),
            &[0x40],
            &string(":aut%ority"),
            &string("b%"),
            &[0x84],
        ]
        .concat();
        let (first, rest) = block.split_at(block.len() / 2);
        let padded = [&[3, 0, 0, 0, 0, 1][..], first, b"%%%"].concat();
        let preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
        let frames =
            [frame(4, 0, &[]), frame(HEADERS, PADDED | PRIORITY, &padded), frame(CONTINUATION, 4, rest)];
        [preface, frames.concat(), frame(0, 0, b"100%")].concat()
    }

    proptest! {
        #[test]
        fn only_the_authority_changes_however_the_bytes_come(cuts in prop::collection::vec(1usize..40, 1..20), long in any::<bool>()) {
            let path = if long { "%2Ftmp".repeat(60) } else { "%2Frun".into() };
            let mut bytes = connection(&path);
            let mut frames = Frames::default();
            let mut rest = bytes.as_mut_slice();
            for cut in cuts.iter().cycle() {
                let (piece, tail) = rest.split_at_mut((*cut).min(rest.len()));
                frames.pass(piece);
                rest = tail;
                if rest.is_empty() {
                    break;
                }
            }
            prop_assert_eq!(bytes, connection(&path.replace('%', "-")));
        }

        #[test]
        fn any_bytes_pass(mut bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            Frames::default().pass(&mut bytes);
        }
    }
}
