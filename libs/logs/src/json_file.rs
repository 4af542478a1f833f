//! Docker's json-file: `{"log":"line\n","stream":"stdout","time":"..."}`, one object a line.

use crate::source::Taken;
use crate::{Entry, Stream, Time};
use serde::Deserialize;
use std::borrow::Cow;

/// Bytes that are not written as they are: controls, the quote, the backslash, what HTML would
/// misread, and all beyond ASCII (which is checked first).
const SPECIAL: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte = 0;
    while byte < 256 {
        table[byte] = byte < 0x20 || byte >= 0x80 || matches!(byte as u8, b'"' | b'\\' | b'<' | b'>' | b'&');
        byte += 1;
    }
    table
};

/// Appends one entry. `time` is RFC 3339 text; `newline` says whether the line ended here.
pub fn encode(out: &mut Vec<u8>, stream: Stream, time: &str, line: &[u8], newline: bool) {
    out.extend_from_slice(br#"{"log":""#);
    escape(out, line);
    if newline {
        out.extend_from_slice(br"\n");
    }
    out.extend_from_slice(br#"","stream":""#);
    out.extend_from_slice(stream.name().as_bytes());
    out.extend_from_slice(br#"","time":""#);
    out.extend_from_slice(time.as_bytes());
    out.extend_from_slice(b"\"}\n");
}

fn escape(out: &mut Vec<u8>, mut bytes: &[u8]) {
    while let Some(plain) = bytes.iter().position(|b| SPECIAL[usize::from(*b)]) {
        out.extend_from_slice(&bytes[..plain]);
        bytes = &bytes[plain..];
        let byte = bytes[0];
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
    out.extend_from_slice(bytes);
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
    let Some(end) = bytes.iter().position(|b| *b == b'\n') else { return Taken::More };
    match parse(&bytes[..end]) {
        Some(entry) => Taken::Entry(entry, end + 1),
        None => Taken::Skip(end + 1),
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
        encode(&mut out, Stream::Stdout, "2024-02-29T00:00:00Z", line, newline);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn the_format_is_dockers() {
        let text = encoded("a\tb\"\\<&>\r\u{1b}[0mä\u{2028}".as_bytes(), true);
        let expected = r#"{"log":"a\u0009b\"\\\u003c\u0026\u003e\r\u001b[0mä\u2028\n","stream":"stdout","time":"2024-02-29T00:00:00Z"}"#;
        assert_eq!(text, format!("{expected}\n"));
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
