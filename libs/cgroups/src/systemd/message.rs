//! D-Bus messages, as far as calls of systemd's manager need them (D-Bus specification,
//! "Message Protocol"). Always little endian when written.

/// A value of a unit property.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    Text(String),
    Bool(bool),
    U64(u64),
    U32(u32),
    I32(i32),
    Texts(Vec<String>),
    /// Process ids.
    U32s(Vec<u32>),
    /// Bit masks of CPUs and memory nodes.
    Bytes(Vec<u8>),
}

/// Writes values with the alignment that the wire wants.
#[derive(Default)]
pub(super) struct Writer {
    pub bytes: Vec<u8>,
}

impl Writer {
    fn align(&mut self, to: usize) {
        self.bytes.resize(self.bytes.len().next_multiple_of(to), 0);
    }

    pub(super) fn u32(&mut self, value: u32) {
        self.align(4);
        self.bytes.extend(value.to_le_bytes());
    }

    pub(super) fn text(&mut self, value: &str) {
        self.u32(value.len() as u32);
        self.bytes.extend(value.as_bytes());
        self.bytes.push(0);
    }

    fn signature(&mut self, value: &str) {
        self.bytes.push(value.len() as u8);
        self.bytes.extend(value.as_bytes());
        self.bytes.push(0);
    }

    /// An array of structs or bytes, whose length is known when `items` has written them.
    pub(super) fn array(&mut self, align: usize, items: impl FnOnce(&mut Writer)) {
        self.u32(0);
        let length_at = self.bytes.len() - 4;
        self.align(align);
        let start = self.bytes.len();
        items(self);
        let length = (self.bytes.len() - start) as u32;
        self.bytes[length_at..length_at + 4].copy_from_slice(&length.to_le_bytes());
    }

    fn variant(&mut self, value: &Value) {
        match value {
            Value::Text(text) => {
                self.signature("s");
                self.text(text);
            }
            Value::Bool(yes) => {
                self.signature("b");
                self.u32(u32::from(*yes));
            }
            Value::U64(number) => {
                self.signature("t");
                self.align(8);
                self.bytes.extend(number.to_le_bytes());
            }
            Value::U32(number) => {
                self.signature("u");
                self.u32(*number);
            }
            Value::I32(number) => {
                self.signature("i");
                self.u32(*number as u32);
            }
            Value::Texts(texts) => {
                self.signature("as");
                self.array(4, |w| texts.iter().for_each(|text| w.text(text)));
            }
            Value::U32s(numbers) => {
                self.signature("au");
                self.array(4, |w| numbers.iter().for_each(|n| w.u32(*n)));
            }
            Value::Bytes(bytes) => {
                self.signature("ay");
                self.array(1, |w| w.bytes.extend(bytes));
            }
        }
    }

    /// `a(sv)`.
    pub(super) fn properties(&mut self, properties: &[(String, Value)]) {
        self.array(8, |w| {
            for (name, value) in properties {
                w.align(8);
                w.text(name);
                w.variant(value);
            }
        });
    }
}

/// Where a method call goes.
pub(super) struct Method {
    pub destination: &'static str,
    pub path: &'static str,
    pub interface: &'static str,
    pub member: &'static str,
    /// Of the body; empty without one.
    pub signature: &'static str,
}

/// A whole method call.
pub(super) fn call(serial: u32, method: &Method, body: &[u8]) -> Vec<u8> {
    let mut w = Writer::default();
    // Little endian, METHOD_CALL, no flags, protocol 1.
    w.bytes.extend([b'l', 1, 0, 1]);
    w.u32(body.len() as u32);
    w.u32(serial);
    w.array(8, |w| {
        let mut field = |code: u8, kind: &str, value: &str| {
            w.align(8);
            w.bytes.push(code);
            w.signature(kind);
            if kind == "g" { w.signature(value) } else { w.text(value) }
        };
        field(1, "o", method.path);
        field(2, "s", method.interface);
        field(3, "s", method.member);
        field(6, "s", method.destination);
        if !method.signature.is_empty() {
            field(8, "g", method.signature);
        }
    });
    w.align(8);
    w.bytes.extend(body);
    w.bytes
}

/// What came in.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Incoming {
    /// 2 reply, 3 error, 4 signal.
    pub kind: u8,
    pub reply_to: u32,
    pub error: String,
    pub member: String,
    /// Leading numbers and strings of the body, numbers as text.
    pub body: Vec<String>,
}

/// Bytes of the fixed part, which tells how long the whole is.
pub(super) const HEAD: usize = 16;
/// The specification's limit.
const LONGEST: usize = 128 << 20;

/// The length of the whole message from its first [`HEAD`] bytes.
pub(super) fn length(head: &[u8; HEAD]) -> Option<usize> {
    let reader = Reader { bytes: head, at: 4, big: head[0] == b'B' };
    let (mut body, mut fields) = (reader, reader);
    fields.at = 12;
    let total = (HEAD + fields.u32()? as usize).next_multiple_of(8).checked_add(body.u32()? as usize)?;
    (total <= LONGEST).then_some(total)
}

/// Reads a whole message; `None` for one that is damaged.
pub(super) fn parse(bytes: &[u8]) -> Option<Incoming> {
    let big = match bytes.first()? {
        b'l' => false,
        b'B' => true,
        _ => return None,
    };
    let mut r = Reader { bytes, at: 12, big };
    let mut message = Incoming { kind: *bytes.get(1)?, ..Incoming::default() };
    let end = HEAD.checked_add(r.u32()? as usize)?;
    let mut signature = String::new();
    while r.at < end {
        r.align(8);
        let code = r.u8()?;
        let kind = r.signature()?;
        let text = match kind.as_str() {
            "u" => {
                let number = r.u32()?;
                if code == 5 {
                    message.reply_to = number;
                }
                continue;
            }
            "s" | "o" => r.text()?,
            "g" => r.signature()?,
            _ => return None,
        };
        match code {
            3 => message.member = text,
            4 => message.error = text,
            8 => signature = text,
            _ => {}
        }
    }
    r.align(8);
    for kind in signature.chars() {
        message.body.push(match kind {
            's' | 'o' => r.text()?,
            'u' => r.u32()?.to_string(),
            _ => break,
        });
    }
    Some(message)
}

#[derive(Clone, Copy)]
struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
    big: bool,
}

impl Reader<'_> {
    fn align(&mut self, to: usize) {
        self.at = self.at.next_multiple_of(to);
    }

    fn u8(&mut self) -> Option<u8> {
        let byte = *self.bytes.get(self.at)?;
        self.at += 1;
        Some(byte)
    }

    fn u32(&mut self) -> Option<u32> {
        self.align(4);
        let bytes = self.bytes.get(self.at..self.at.checked_add(4)?)?.try_into().ok()?;
        self.at += 4;
        Some(if self.big { u32::from_be_bytes(bytes) } else { u32::from_le_bytes(bytes) })
    }

    fn take(&mut self, length: usize) -> Option<String> {
        let end = self.at.checked_add(length)?;
        let text = std::str::from_utf8(self.bytes.get(self.at..end)?).ok()?.to_owned();
        // The NUL behind it.
        self.at = end.checked_add(1)?;
        Some(text)
    }

    fn text(&mut self) -> Option<String> {
        let length = self.u32()? as usize;
        self.take(length)
    }

    fn signature(&mut self) -> Option<String> {
        let length = usize::from(self.u8()?);
        self.take(length)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_call_is_laid_out_as_the_specification_says() {
        let method = Method { destination: "d.d", path: "/p", interface: "i.i", member: "M", signature: "s" };
        let mut body = Writer::default();
        body.text("x");
        let bytes = call(7, &method, &body.bytes);
        let head: [u8; HEAD] = bytes[..HEAD].try_into().unwrap();
        assert_eq!(length(&head), Some(bytes.len()));
        assert_eq!(&bytes[..12], [b'l', 1, 0, 1, 6, 0, 0, 0, 7, 0, 0, 0]);
        let message = parse(&bytes).unwrap();
        assert_eq!((message.member.as_str(), message.body), ("M", vec!["x".to_owned()]));
    }

    #[test]
    fn properties_are_aligned() {
        let mut w = Writer::default();
        w.properties(&[("A".into(), Value::Bool(true)), ("B".into(), Value::U64(1))]);
        // length, padding; "A": 4+1+1, "b": 1+1+1, padding, 4; "B" from a multiple of 8.
        assert_eq!(w.bytes.len(), 8 + 16 + 24);
        assert_eq!(&w.bytes[..4], 40u32.to_le_bytes());
        assert_eq!(w.bytes[40], 1);
    }

    proptest! {
        #[test]
        fn any_bytes_are_survived(bytes in prop::collection::vec(any::<u8>(), 0..200), kind in prop::sample::select(vec![b'l', b'B'])) {
            let mut bytes = bytes;
            if let Some(first) = bytes.first_mut() {
                *first = kind;
            }
            let _ = parse(&bytes);
            if let Some(head) = bytes.first_chunk::<HEAD>() {
                let _ = length(head);
            }
        }
    }
}
