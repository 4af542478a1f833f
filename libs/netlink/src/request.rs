//! Building messages: netlink(7), `struct nlmsghdr` and `struct nlattr`.

use crate::{Error, Result};

/// Flags of a request.
pub mod flags {
    /// A request at all.
    pub const REQUEST: u16 = 0x1;
    /// Answer with success, too.
    pub const ACK: u16 = 0x4;
    /// Dump: the whole table.
    pub const DUMP: u16 = 0x300;
    /// New: replace what is there.
    pub const REPLACE: u16 = 0x100;
    /// New: fail when it is there.
    pub const EXCL: u16 = 0x200;
    /// New: make it.
    pub const CREATE: u16 = 0x400;
    /// New: add at the end.
    pub const APPEND: u16 = 0x800;
}

/// Length of `struct nlmsghdr`.
pub(crate) const HEADER: usize = 16;
/// The attribute's payload is attributes.
pub(crate) const NESTED: u16 = 0x8000;

/// Messages that are sent in one system call, in this order.
#[derive(Debug, Default)]
pub struct Request {
    pub(crate) buffer: Vec<u8>,
    pub(crate) starts: Vec<usize>,
    overlong: bool,
}

impl Request {
    /// An empty one.
    pub fn new() -> Request {
        Request::default()
    }

    /// Starts one more message of type `kind` whose family header is `header`. The message ends
    /// when the returned value is dropped.
    pub fn message(&mut self, kind: u16, flags: u16, header: &[u8]) -> Message<'_> {
        let start = self.buffer.len();
        self.starts.push(start);
        self.buffer.extend_from_slice(&[0; 4]);
        self.buffer.extend_from_slice(&kind.to_ne_bytes());
        self.buffer.extend_from_slice(&(flags | flags::REQUEST).to_ne_bytes());
        self.buffer.extend_from_slice(&[0; 8]);
        self.buffer.extend_from_slice(header);
        let mut message = Message { request: self, start };
        message.pad();
        message
    }

    /// How many messages there are.
    pub fn len(&self) -> usize {
        self.starts.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.starts.is_empty()
    }

    /// The bytes as they go out, sequence numbers aside.
    ///
    /// # Errors
    /// [`Error::Malformed`] when an attribute is longer than its 16-bit length can say.
    pub fn bytes(&self) -> Result<&[u8]> {
        if self.overlong {
            Err(Error::Malformed("an attribute is longer than 65535 bytes"))
        } else {
            Ok(&self.buffer)
        }
    }
}

/// A message being built. Attributes are appended in the order of the calls.
#[derive(Debug)]
pub struct Message<'a> {
    request: &'a mut Request,
    start: usize,
}

impl Message<'_> {
    /// Appends an attribute of raw bytes.
    pub fn bytes(&mut self, kind: u16, payload: &[u8]) -> &mut Self {
        match u16::try_from(payload.len() + 4) {
            Ok(length) => {
                self.request.buffer.extend_from_slice(&length.to_ne_bytes());
                self.request.buffer.extend_from_slice(&kind.to_ne_bytes());
                self.request.buffer.extend_from_slice(payload);
                self.pad();
            }
            Err(_) => self.request.overlong = true,
        }
        self
    }

    /// Appends one byte.
    pub fn u8(&mut self, kind: u16, value: u8) -> &mut Self {
        self.bytes(kind, &[value])
    }

    /// Appends a 16-bit number in the host's byte order.
    pub fn u16(&mut self, kind: u16, value: u16) -> &mut Self {
        self.bytes(kind, &value.to_ne_bytes())
    }

    /// Appends a 32-bit number in the host's byte order, as rtnetlink does.
    pub fn u32(&mut self, kind: u16, value: u32) -> &mut Self {
        self.bytes(kind, &value.to_ne_bytes())
    }

    /// Appends a 32-bit number in network byte order, as nfnetlink does.
    pub fn u32_be(&mut self, kind: u16, value: u32) -> &mut Self {
        self.bytes(kind, &value.to_be_bytes())
    }

    /// Appends a 64-bit number in network byte order.
    pub fn u64_be(&mut self, kind: u16, value: u64) -> &mut Self {
        self.bytes(kind, &value.to_be_bytes())
    }

    /// Appends a string with its terminating zero.
    pub fn string(&mut self, kind: u16, value: &str) -> &mut Self {
        let mut bytes = Vec::with_capacity(value.len() + 1);
        bytes.extend_from_slice(value.as_bytes());
        bytes.push(0);
        self.bytes(kind, &bytes)
    }

    /// Appends bytes that are no attribute: the family header of a message inside an attribute.
    pub fn raw(&mut self, bytes: &[u8]) -> &mut Self {
        self.request.buffer.extend_from_slice(bytes);
        self.pad();
        self
    }

    /// Appends an attribute whose payload is what `inside` appends.
    pub fn nest(&mut self, kind: u16, inside: impl FnOnce(&mut Message<'_>)) -> &mut Self {
        let at = self.request.buffer.len();
        self.request.buffer.extend_from_slice(&[0; 2]);
        self.request.buffer.extend_from_slice(&(kind | NESTED).to_ne_bytes());
        inside(self);
        match u16::try_from(self.request.buffer.len() - at) {
            Ok(length) => self.request.buffer[at..at + 2].copy_from_slice(&length.to_ne_bytes()),
            Err(_) => self.request.overlong = true,
        }
        self
    }

    fn pad(&mut self) {
        let length = self.request.buffer.len().next_multiple_of(4);
        self.request.buffer.resize(length, 0);
    }
}

impl Drop for Message<'_> {
    fn drop(&mut self) {
        let length = (self.request.buffer.len() - self.start) as u32;
        self.request.buffer[self.start..self.start + 4].copy_from_slice(&length.to_ne_bytes());
    }
}
