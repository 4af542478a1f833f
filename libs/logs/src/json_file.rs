//! Docker's json-file: `{"log":"line\n","stream":"stdout","time":"..."}`, one object a line.

use crate::source::Taken;
use crate::{Entry, Stream, Time};
use serde::Deserialize;
use std::borrow::Cow;

/// Bytes that are not written as they are: controls, the quote, the backslash, what HTML would
/// misread, and all beyond ASCII (which is checked first).
const fn is_special(byte: u8) -> bool {
    byte < 0x20 || byte >= 0x80 || matches!(byte, b'"' | b'\\' | b'<' | b'>' | b'&')
}

/// How many bytes are looked at in one step: as many as processors compare at once.
const STEP: usize = 32;

/// How many bytes at the start are written as they are.
fn plain_length(bytes: &[u8]) -> usize {
    let mut length = 0;
    for step in bytes.chunks(STEP) {
        // Without an early end the comparisons of a step are made side by side.
        if step.iter().fold(false, |any, byte| any | is_special(*byte)) {
            return length + step.iter().position(|byte| is_special(*byte)).unwrap_or(step.len());
        }
        length += step.len();
    }
    length
}

/// Appends one entry. `attributes` is the text of a JSON object, or empty; `time` is RFC 3339 text; `newline` says
/// whether the line ended here.
pub fn encode(out: &mut Vec<u8>, stream: Stream, attributes: &str, time: &str, line: &[u8], newline: bool) {
    out.extend_from_slice(br#"{"log":""#);
    escape(out, line);
    if newline {
        out.extend_from_slice(br"\n");
    }
    out.extend_from_slice(br#"","stream":""#);
    out.extend_from_slice(stream.name().as_bytes());
    if attributes.is_empty() {
        out.extend_from_slice(br#"","time":""#);
    } else {
        out.extend_from_slice(br#"","attrs":"#);
        out.extend_from_slice(attributes.as_bytes());
        out.extend_from_slice(br#","time":""#);
    }
    out.extend_from_slice(time.as_bytes());
    out.extend_from_slice(b"\"}\n");
}

fn escape(out: &mut Vec<u8>, mut bytes: &[u8]) {
    loop {
        let plain = plain_length(bytes);
        out.extend_from_slice(&bytes[..plain]);
        bytes = &bytes[plain..];
        let Some(byte) = bytes.first().copied() else { return };
        if byte >= 0x80 {
            bytes = &bytes[escape_wide(out, bytes)..];
            continue;
        }
        match byte {
            b'"' | b'\\' => out.extend_from_slice(&[b'\\', byte]),
            b'\n' => out.extend_from_slice(br"\n"),
            b'\r' => out.extend_from_slice(br"\r"),
            _ => {
                const HEX: &[u8; 16] = b"0123456789abcdef";
                out.extend_from_slice(br"\u00");
                out.extend_from_slice(&[HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]]);
            }
        }
        bytes = &bytes[1..];
    }
}

/// Writes the run of bytes beyond ASCII at the start; returns its length.
fn escape_wide(out: &mut Vec<u8>, bytes: &[u8]) -> usize {
    let run = bytes.iter().position(u8::is_ascii).unwrap_or(bytes.len());
    for chunk in bytes[..run].utf8_chunks() {
        for c in chunk.valid().chars() {
            match c {
                '\u{2028}' => out.extend_from_slice(br"\u2028"),
                '\u{2029}' => out.extend_from_slice(br"\u2029"),
                _ => out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
            }
        }
        for _ in chunk.invalid() {
            out.extend_from_slice(br"\ufffd");
        }
    }
    run
}

#[derive(Deserialize)]
struct Line<'a> {
    #[serde(borrow, default)]
    log: Cow<'a, str>,
    #[serde(borrow, default)]
    stream: Cow<'a, str>,
    #[serde(borrow, default)]
    time: Cow<'a, str>,
}

/// Takes the first entry off `bytes`. Lines that are none are skipped; one without an end is
/// waited for.
pub fn take(bytes: &[u8]) -> Taken {
    let Some(end) = memchr::memchr(b'\n', bytes) else { return Taken::More };
    let line = &bytes[..end];
    match parse_usual(line).or_else(|| parse(line)) {
        Some(entry) => Taken::Entry(entry, end + 1),
        None => Taken::Skip(end + 1),
    }
}

/// Reads a line of the very shape that loggers write, which nearly all are; none for any other.
fn parse_usual(line: &[u8]) -> Option<Entry> {
    let (text, rest) = unescape(line.strip_prefix(br#"{"log":""#)?)?;
    let rest = rest.strip_prefix(br#","stream":"std"#)?;
    let (stream, rest) = match rest.strip_prefix(b"out") {
        Some(rest) => (Stream::Stdout, rest),
        None => (Stream::Stderr, rest.strip_prefix(b"err")?),
    };
    let time = rest.strip_prefix(br#"","time":""#)?.strip_suffix(br#""}"#)?;
    let time = Time::parse(std::str::from_utf8(time).ok()?)?;
    Some(Entry { stream, time, line: text })
}

/// The string that ends at the first quote, and what follows; none for escapes that are rare, and for
/// what no string may hold.
fn unescape(mut bytes: &[u8]) -> Option<(Vec<u8>, &[u8])> {
    let mut text = Vec::with_capacity(bytes.len());
    loop {
        let at = memchr::memchr2(b'"', b'\\', bytes)?;
        let plain = &bytes[..at];
        if plain.iter().fold(false, |any, byte| any | (*byte < 0x20)) {
            return None;
        }
        text.extend_from_slice(plain);
        if bytes[at] == b'"' {
            return std::str::from_utf8(&text).is_ok().then_some((text, &bytes[at + 1..]));
        }
        let (byte, used) = match bytes.get(at + 1)? {
            b'n' => (b'\n', 2),
            b'r' => (b'\r', 2),
            b't' => (b'\t', 2),
            plain @ (b'"' | b'\\' | b'/') => (*plain, 2),
            b'u' => {
                let digits = std::str::from_utf8(bytes.get(at + 2..at + 6)?).ok()?;
                let is_ascii = digits.starts_with("00") && digits.bytes().all(|b| b.is_ascii_hexdigit());
                (u8::from_str_radix(digits, 16).ok().filter(|byte| is_ascii && byte.is_ascii())?, 6)
            }
            _ => return None,
        };
        text.push(byte);
        bytes = &bytes[at + used..];
    }
}

fn parse(line: &[u8]) -> Option<Entry> {
    let line: Line<'_> = serde_json::from_slice(line).ok()?;
    let stream = match &*line.stream {
        "stdout" => Stream::Stdout,
        "stderr" => Stream::Stderr,
        _ => return None,
    };
    Some(Entry { stream, time: Time::parse(&line.time)?, line: line.log.into_owned().into_bytes() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn encoded(line: &[u8], newline: bool) -> String {
        let mut out = Vec::new();
        encode(&mut out, Stream::Stdout, "", "2024-02-29T00:00:00Z", line, newline);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn the_format_is_dockers() {
        let text = encoded("a\tb\"\\<&>\r\u{1b}[0mä\u{2028}".as_bytes(), true);
        let expected = r#"{"log":"a\u0009b\"\\\u003c\u0026\u003e\r\u001b[0mä\u2028\n","stream":"stdout","time":"2024-02-29T00:00:00Z"}"#;
        assert_eq!(text, format!("{expected}\n"));
        let mut out = Vec::new();
        encode(&mut out, Stream::Stderr, r#"{"a":"b"}"#, "2024-02-29T00:00:00Z", b"x", true);
        let expected = r#"{"log":"x\n","stream":"stderr","attrs":{"a":"b"},"time":"2024-02-29T00:00:00Z"}"#;
        assert_eq!(String::from_utf8(out.clone()).unwrap(), format!("{expected}\n"));
        assert!(matches!(take(&out), Taken::Entry(entry, _) if entry.line == b"x\n"));
        assert!(encoded(b"\xff\xc3(", false).starts_with(r#"{"log":"\ufffd\ufffd(","#));
    }

    proptest! {
        #[test]
        fn text_survives(text in "[^\n]{0,200}", newline: bool) {
            let wire = encoded(text.as_bytes(), newline);
            let Taken::Entry(entry, used) = take(wire.as_bytes()) else { panic!("{wire}") };
            prop_assert_eq!(used, wire.len());
            let end = if newline { "\n" } else { "" };
            prop_assert_eq!(String::from_utf8(entry.line).unwrap(), format!("{text}{end}"));
        }

        #[test]
        fn the_usual_shape_is_read_as_any_other(
            text in r#"(\PC|[\x00-\x1f]|\\[nrtbf"/\\]|\\u00[0-9a-f]{2}|\\u[0-9a-fA-F+]{4}|["\\]){0,40}"#,
            rest in prop_oneof![Just(r#","stream":"stderr","time":"2024-02-29T00:00:00.5Z"}"#), Just("}"), Just("")],
        ) {
            let line = format!(r#"{{"log":"{text}"{rest}"#);
            if let Some(entry) = parse_usual(line.as_bytes()) {
                prop_assert_eq!(Some(entry), parse(line.as_bytes()));
            }
        }

        #[test]
        fn what_is_written_is_read_the_short_way(text in "[^\n\u{2028}\u{2029}\u{b}\u{c}\u{8}]{0,60}") {
            let wire = encoded(text.as_bytes(), true);
            let entry = parse_usual(wire.trim_end().as_bytes()).unwrap();
            prop_assert_eq!(String::from_utf8(entry.line).unwrap(), format!("{text}\n"));
        }

        #[test]
        fn bytes_become_valid_json(bytes: Vec<u8>) {
            let wire = encoded(&bytes, true);
            prop_assert!(serde_json::from_str::<serde_json::Value>(&wire).is_ok(), "{}", wire);
        }

        #[test]
        fn any_bytes_are_survived(bytes: Vec<u8>) {
            match take(&bytes) {
                Taken::Entry(_, used) | Taken::Skip(used) => prop_assert!(used > 0 && used <= bytes.len()),
                Taken::More => {}
            }
        }
    }
}
