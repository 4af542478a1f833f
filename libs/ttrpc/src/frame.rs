//! Frames: the header, the encoder, and a decoder that takes bytes as they come.

use crate::Status;
use bytes::{Buf, BufMut, Bytes, BytesMut};
use errdefs::Kind;

/// The largest data a frame may carry, in bytes.
pub const MAX_DATA_BYTES: usize = 4 << 20;
const HEADER_BYTES: usize = 10;

/// The peer sends nothing more on this stream.
pub(crate) const REMOTE_CLOSED: u8 = 1;
/// The peer will send data on this stream.
pub(crate) const REMOTE_OPEN: u8 = 2;

/// What a frame carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MessageType {
    /// A call.
    Request,
    /// Its answer.
    Response,
    /// A part of a stream.
    Data,
    /// A number this protocol does not define.
    Unknown(u8),
}

impl MessageType {
    fn from_wire(number: u8) -> MessageType {
        match number {
            1 => MessageType::Request,
            2 => MessageType::Response,
            3 => MessageType::Data,
            other => MessageType::Unknown(other),
        }
    }

    fn to_wire(self) -> u8 {
        match self {
            MessageType::Request => 1,
            MessageType::Response => 2,
            MessageType::Data => 3,
            MessageType::Unknown(other) => other,
        }
    }
}

/// What stands before the data: stream, type and flags (the length is the data's own).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// Odd for streams that the client opened.
    pub stream: u32,
    /// What the data is.
    pub kind: MessageType,
    /// `0x01` remote closed, `0x02` remote open, `0x04` no data.
    pub flags: u8,
}

/// One frame as bytes; data over [`MAX_DATA_BYTES`] is refused as ResourceExhausted.
pub fn encode(header: Header, data: &[u8]) -> Result<Bytes, Status> {
    if data.len() > MAX_DATA_BYTES {
        return Err(oversized(data.len()));
    }
    let mut frame = BytesMut::with_capacity(HEADER_BYTES + data.len());
    frame.put_u32(data.len() as u32);
    frame.put_u32(header.stream);
    frame.put_u8(header.kind.to_wire());
    frame.put_u8(header.flags);
    frame.put_slice(data);
    Ok(frame.freeze())
}

pub(crate) fn oversized(length: usize) -> Status {
    Status::new(
        Kind::ResourceExhausted,
        format!("message length {length} exceed maximum message size of {MAX_DATA_BYTES}"),
    )
}

/// What the decoder found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Received {
    /// A whole frame.
    Frame(Header, Bytes),
    /// A frame of more data than allowed, whose data is skipped; `usize` is its length.
    Oversized(Header, usize),
}

/// Turns bytes into frames, whatever pieces they come in.
#[derive(Default)]
pub struct Decoder {
    buffer: BytesMut,
    skip: usize,
}

impl Decoder {
    /// Where a reader appends what it read.
    pub fn buffer(&mut self) -> &mut BytesMut {
        &mut self.buffer
    }

    /// The next frame, or `None` until more bytes come.
    pub fn next_frame(&mut self) -> Option<Received> {
        self.skip_data();
        if self.skip > 0 || self.buffer.len() < HEADER_BYTES {
            return None;
        }
        let mut head = &self.buffer[..HEADER_BYTES];
        let length = head.get_u32() as usize;
        let stream = head.get_u32();
        let header = Header { stream, kind: MessageType::from_wire(head.get_u8()), flags: head.get_u8() };
        if length > MAX_DATA_BYTES {
            self.buffer.advance(HEADER_BYTES);
            self.skip = length;
            self.skip_data();
            return Some(Received::Oversized(header, length));
        }
        if self.buffer.len() < HEADER_BYTES + length {
            self.buffer.reserve(HEADER_BYTES + length - self.buffer.len());
            return None;
        }
        self.buffer.advance(HEADER_BYTES);
        Some(Received::Frame(header, self.buffer.split_to(length).freeze()))
    }

    fn skip_data(&mut self) {
        let now = self.skip.min(self.buffer.len());
        self.buffer.advance(now);
        self.skip -= now;
    }
}
