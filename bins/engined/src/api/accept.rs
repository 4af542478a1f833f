//! Which form of a stream of JSON a client asks for by its `Accept` header.

use bytes::Bytes;
use http::{HeaderMap, header};

/// One value a line, by two names.
const LINES: [&str; 2] = ["application/jsonl", "application/x-ndjson"];
/// Values between marks (RFC 7464).
const SEQUENCE: &str = "application/json-seq";
/// What stands before every value of a sequence.
const MARK: u8 = 0x1e;

/// The best liked of the forms that the client names; wildcards name none.
pub fn stream_of_json(headers: &HeaderMap) -> Option<&'static str> {
    let mut best: Option<(f32, &'static str)> = None;
    let lists = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
    for range in lists.flat_map(|list| list.split(',')) {
        let mut parts = range.split(';').map(str::trim);
        let kind = parts.next().unwrap_or_default().to_ascii_lowercase();
        let Some(known) = LINES.into_iter().chain([SEQUENCE]).find(|known| *known == kind) else { continue };
        let weight = parts.find_map(|part| part.strip_prefix("q=")?.parse::<f32>().ok()).unwrap_or(1.0);
        if weight > best.map_or(0.0, |(weight, _)| weight) {
            best = Some((weight, known));
        }
    }
    best.map(|(_, known)| known)
}

/// One value in the form that `kind` names.
pub fn line(kind: &str, json: &[u8]) -> Bytes {
    let mut line = Vec::with_capacity(json.len() + 2);
    if kind == SEQUENCE {
        line.push(MARK);
    }
    line.extend_from_slice(json);
    line.push(b'\n');
    Bytes::from(line)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn asked(accept: &str) -> Option<&'static str> {
        let mut headers = HeaderMap::new();
        headers.insert(header::ACCEPT, accept.parse().unwrap());
        stream_of_json(&headers)
    }

    #[test]
    fn the_best_liked_form_is_taken() {
        assert_eq!(asked("application/json-seq"), Some("application/json-seq"));
        assert_eq!(asked("application/jsonl;q=0.1, application/x-ndjson"), Some("application/x-ndjson"));
        for other in ["*/*", "application/*", "application/json", "application/jsonl;q=0"] {
            assert_eq!(asked(other), None, "{other}");
        }
    }

    #[test]
    fn values_of_a_sequence_are_marked() {
        assert_eq!(&line(SEQUENCE, b"{}")[..], b"\x1e{}\n");
        assert_eq!(&line("application/json", b"{}")[..], b"{}\n");
    }

    proptest! {
        #[test]
        fn any_header_is_survived(text in "[ -~]{0,60}") {
            let _ = asked(&text);
        }
    }
}
