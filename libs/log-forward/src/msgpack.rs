//! The few forms of MessagePack that the forward protocol needs.

/// A message that grows.
#[derive(Default)]
pub(crate) struct Packed(pub(crate) Vec<u8>);

impl Packed {
    pub(crate) fn array(&mut self, length: u8) {
        self.0.push(0x90 | (length & 0x0f));
    }

    pub(crate) fn map(&mut self, length: usize) {
        match length {
            0..16 => self.0.push(0x80 | length as u8),
            _ => {
                self.0.push(0xde);
                self.0.extend_from_slice(&(length as u16).to_be_bytes());
            }
        }
    }

    pub(crate) fn text(&mut self, text: &[u8]) {
        match text.len() {
            length @ 0..32 => self.0.push(0xa0 | length as u8),
            length @ 32..256 => self.0.extend_from_slice(&[0xd9, length as u8]),
            length @ 256..65536 => {
                self.0.push(0xda);
                self.0.extend_from_slice(&(length as u16).to_be_bytes());
            }
            length => {
                self.0.push(0xdb);
                self.0.extend_from_slice(&(length as u32).to_be_bytes());
            }
        }
        self.0.extend_from_slice(text);
    }

    /// Whole seconds.
    pub(crate) fn seconds(&mut self, seconds: u32) {
        self.0.push(0xce);
        self.0.extend_from_slice(&seconds.to_be_bytes());
    }

    /// fluentd's `EventTime`: extension 0, seconds and nanoseconds.
    pub(crate) fn event_time(&mut self, seconds: u32, nanos: u32) {
        self.0.extend_from_slice(&[0xd7, 0x00]);
        self.0.extend_from_slice(&seconds.to_be_bytes());
        self.0.extend_from_slice(&nanos.to_be_bytes());
    }
}

/// The value of a key in an answer such as `{"ack": "..."}`.
pub(crate) fn value_of<'a>(bytes: &'a [u8], key: &str) -> Option<&'a [u8]> {
    let mut rest = bytes;
    let length = match *rest.split_off_first()? {
        head @ 0x80..=0x8f => usize::from(head & 0x0f),
        _ => return None,
    };
    for _ in 0..length {
        let found = take_text(&mut rest)?;
        let value = take_text(&mut rest)?;
        if found == key.as_bytes() {
            return Some(value);
        }
    }
    None
}

fn take_text<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let length = match *rest.split_off_first()? {
        head @ 0xa0..=0xbf => usize::from(head & 0x1f),
        0xd9 | 0xc4 => usize::from(*rest.split_off_first()?),
        0xda | 0xc5 => usize::from(u16::from_be_bytes([*rest.split_off_first()?, *rest.split_off_first()?])),
        _ => return None,
    };
    rest.split_off(..length)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn answers_are_read() {
        let mut packed = Packed::default();
        packed.map(1);
        packed.text(b"ack");
        packed.text(&[b'x'; 40]);
        assert_eq!(value_of(&packed.0, "ack"), Some(&[b'x'; 40][..]));
        assert_eq!(value_of(&packed.0, "other"), None);
        assert_eq!(value_of(&packed.0[..10], "ack"), None);
    }

    proptest! {
        #[test]
        fn any_answer_is_survived(bytes in prop::collection::vec(any::<u8>(), 0..40)) {
            let _ = value_of(&bytes, "ack");
        }
    }
}
