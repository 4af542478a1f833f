//! Reading messages: every length is checked, no byte of the kernel's is trusted.

use crate::request::HEADER;
use crate::{Error, Result};

/// One received message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header<'a> {
    /// Message type.
    pub kind: u16,
    /// Its flags.
    pub flags: u16,
    /// Sequence number of the request it answers.
    pub sequence: u32,
    /// What follows: family header and attributes.
    pub payload: &'a [u8],
}

/// The messages of one datagram. Ends after the first malformed one.
#[derive(Clone, Debug)]
pub struct Messages<'a> {
    rest: &'a [u8],
}

impl<'a> Messages<'a> {
    /// Reads a datagram.
    pub fn new(datagram: &'a [u8]) -> Messages<'a> {
        Messages { rest: datagram }
    }
}

impl<'a> Iterator for Messages<'a> {
    type Item = Result<Header<'a>>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let rest = std::mem::take(&mut self.rest);
        let (Some(length), Some(kind), Some(flags), Some(sequence)) =
            (u32_at(rest, 0), u16_at(rest, 4), u16_at(rest, 6), u32_at(rest, 8))
        else {
            return Some(Err(Error::Malformed("short message header")));
        };
        let length = length as usize;
        if length < HEADER || length > rest.len() {
            return Some(Err(Error::Malformed("message length")));
        }
        self.rest = rest.get(length.next_multiple_of(4)..).unwrap_or_default();
        Some(Ok(Header { kind, flags, sequence, payload: &rest[HEADER..length] }))
    }
}

/// One attribute.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attribute<'a> {
    /// Its type, without the nested and byte-order bits.
    pub kind: u16,
    /// Its bytes.
    pub payload: &'a [u8],
}

impl<'a> Attribute<'a> {
    /// A number in the host's byte order.
    pub fn u32(self) -> Option<u32> {
        Some(u32::from_ne_bytes(self.payload.try_into().ok()?))
    }

    /// A number in network byte order.
    pub fn u32_be(self) -> Option<u32> {
        Some(u32::from_be_bytes(self.payload.try_into().ok()?))
    }

    /// A number in network byte order.
    pub fn u64_be(self) -> Option<u64> {
        Some(u64::from_be_bytes(self.payload.try_into().ok()?))
    }

    /// A string, up to its terminating zero.
    pub fn string(self) -> Option<&'a str> {
        let end = self.payload.iter().position(|byte| *byte == 0).unwrap_or(self.payload.len());
        std::str::from_utf8(&self.payload[..end]).ok()
    }

    /// The attributes inside.
    pub fn nested(self) -> Attributes<'a> {
        Attributes { rest: self.payload }
    }
}

/// The attributes of a message or of a nested attribute. Ends at the first malformed one.
#[derive(Clone, Debug)]
pub struct Attributes<'a> {
    rest: &'a [u8],
}

impl<'a> Attributes<'a> {
    /// Reads what follows a family header of `header` bytes.
    pub fn after(payload: &'a [u8], header: usize) -> Attributes<'a> {
        Attributes { rest: payload.get(header.next_multiple_of(4)..).unwrap_or_default() }
    }

    /// The first attribute of this type.
    pub fn find(mut self, kind: u16) -> Option<Attribute<'a>> {
        Iterator::find(&mut self, |attribute| attribute.kind == kind)
    }
}

impl<'a> Iterator for Attributes<'a> {
    type Item = Attribute<'a>;

    fn next(&mut self) -> Option<Attribute<'a>> {
        let rest = std::mem::take(&mut self.rest);
        let length = usize::from(u16_at(rest, 0)?);
        let kind = u16_at(rest, 2)? & 0x3fff;
        let payload = rest.get(4..length)?;
        self.rest = rest.get(length.next_multiple_of(4)..).unwrap_or_default();
        Some(Attribute { kind, payload })
    }
}

pub(crate) fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_ne_bytes(bytes.get(at..at + 2)?.try_into().ok()?))
}

pub(crate) fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_ne_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::Request;

    #[derive(Clone, Debug)]
    enum Tree {
        Leaf(u16, Vec<u8>),
        Nest(u16, Vec<Tree>),
    }

    fn tree() -> impl Strategy<Value = Tree> {
        let kind = 0u16..0x3fff;
        let leaf =
            (kind.clone(), prop::collection::vec(any::<u8>(), 0..40)).prop_map(|(k, b)| Tree::Leaf(k, b));
        leaf.prop_recursive(4, 32, 5, move |inner| {
            (kind.clone(), prop::collection::vec(inner, 0..5)).prop_map(|(k, t)| Tree::Nest(k, t))
        })
    }

    fn build(message: &mut crate::Message<'_>, tree: &Tree) {
        match tree {
            Tree::Leaf(kind, bytes) => {
                message.bytes(*kind, bytes);
            }
            Tree::Nest(kind, trees) => {
                message.nest(*kind, |inside| trees.iter().for_each(|tree| build(inside, tree)));
            }
        }
    }

    fn check(attributes: Attributes<'_>, trees: &[Tree]) {
        let read: Vec<_> = attributes.collect();
        assert_eq!(read.len(), trees.len());
        for (attribute, tree) in read.into_iter().zip(trees) {
            match tree {
                Tree::Leaf(kind, bytes) => {
                    assert_eq!((attribute.kind, attribute.payload), (*kind, bytes.as_slice()))
                }
                Tree::Nest(kind, trees) => {
                    assert_eq!(attribute.kind, *kind);
                    check(attribute.nested(), trees);
                }
            }
        }
    }

    proptest! {
        #[test]
        fn what_is_built_is_read(messages in prop::collection::vec((16u16.., any::<u16>(), prop::collection::vec(any::<u8>(), 0..20), prop::collection::vec(tree(), 0..6)), 0..5)) {
            let mut request = Request::new();
            for (kind, flags, header, trees) in &messages {
                let mut message = request.message(*kind, *flags, header);
                trees.iter().for_each(|tree| build(&mut message, tree));
            }
            let read: Vec<_> = Messages::new(request.bytes().unwrap()).collect::<Result<_>>().unwrap();
            prop_assert_eq!(read.len(), messages.len());
            for (message, (kind, flags, header, trees)) in read.iter().zip(&messages) {
                prop_assert_eq!(message.kind, *kind);
                prop_assert_eq!(message.flags, flags | crate::flags::REQUEST);
                prop_assert_eq!(&message.payload[..header.len()], header.as_slice());
                check(Attributes::after(message.payload, header.len()), trees);
            }
        }

        #[test]
        fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            for message in Messages::new(&bytes).flatten() {
                for attribute in Attributes::after(message.payload, 16) {
                    let _ = (attribute.u32(), attribute.u64_be(), attribute.string(), attribute.nested().count());
                }
            }
            let _ = Attributes::after(&bytes, 0).map(|a| a.nested().count()).sum::<usize>();
        }
    }

    #[test]
    fn an_overlong_attribute_is_refused() {
        let mut request = Request::new();
        request.message(16, 0, &[]).bytes(1, &[0; 65532]);
        assert!(request.bytes().is_err());
    }
}
