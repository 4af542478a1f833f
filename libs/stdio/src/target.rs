//! What a client wrote where a stream should go: a path or a URI.

use std::path::PathBuf;

/// Where an output stream goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// Nowhere.
    Null,
    /// A fifo, or a file that exists already; `fifo://` or a plain path.
    Fifo(PathBuf),
    /// A file, made if needed; `file://`.
    File(PathBuf),
    /// A program that reads both streams; `binary://`, `binary-v2://`.
    Binary(BinaryUri),
}

/// The program of a `binary` URI and what it is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BinaryUri {
    /// The program; absolute.
    pub path: PathBuf,
    /// Keys and values of the query, the first value of each key, in the order written.
    pub pairs: Vec<(String, String)>,
    /// `binary-v2`: the program must say that it is ready.
    pub must_be_ready: bool,
}

/// Why a target is refused.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum TargetError {
    /// A scheme nobody serves here.
    #[error("unknown STDIO scheme {0}")]
    Scheme(String),
    /// Not an absolute path.
    #[error("cannot use {0:?} for a stream: the path is not absolute")]
    Relative(String),
    /// A percent sign without two hex digits, or no UTF-8.
    #[error("cannot decode the URI {0:?}")]
    Escape(String),
}

impl Target {
    /// Reads what a client wrote; empty is [`Target::Null`].
    pub fn parse(text: &str) -> Result<Target, TargetError> {
        if text.is_empty() {
            return Ok(Target::Null);
        }
        let Some((scheme, rest)) = text.split_once("://") else {
            return Ok(Target::Fifo(absolute(text, text.to_owned())?));
        };
        let (path, query) = rest.split_once('?').unwrap_or((rest, ""));
        let decoded = || decode(path, false).ok_or_else(|| TargetError::Escape(text.to_owned()));
        match scheme {
            "fifo" => Ok(Target::Fifo(absolute(text, decoded()?)?)),
            "file" => Ok(Target::File(absolute(text, decoded()?)?)),
            "binary" | "binary-v2" => Ok(Target::Binary(BinaryUri {
                path: absolute(text, decoded()?)?,
                pairs: pairs(query).ok_or_else(|| TargetError::Escape(text.to_owned()))?,
                must_be_ready: scheme == "binary-v2",
            })),
            other => Err(TargetError::Scheme(other.to_owned())),
        }
    }
}

fn absolute(text: &str, path: String) -> Result<PathBuf, TargetError> {
    if path.starts_with('/') { Ok(path.into()) } else { Err(TargetError::Relative(text.to_owned())) }
}

fn pairs(query: &str) -> Option<Vec<(String, String)>> {
    let mut pairs: Vec<(String, String)> = Vec::new();
    for part in query.split('&').filter(|part| !part.is_empty()) {
        let (key, value) = part.split_once('=').unwrap_or((part, ""));
        let (key, value) = (decode(key, true)?, decode(value, true)?);
        if pairs.iter().all(|(known, _)| *known != key) {
            pairs.push((key, value));
        }
    }
    Some(pairs)
}

/// Percent-decoding; in a query a plus is a space.
fn decode(text: &str, query: bool) -> Option<String> {
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        out.push(match byte {
            b'%' => {
                let (high, low) = (bytes.next()?, bytes.next()?);
                let digit = |b: u8| char::from(b).to_digit(16);
                (digit(high)? * 16 + digit(low)?) as u8
            }
            b'+' if query => b' ',
            other => other,
        });
    }
    String::from_utf8(out).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn every_form_is_read() {
        assert_eq!(Target::parse("").unwrap(), Target::Null);
        assert_eq!(Target::parse("/run/f").unwrap(), Target::Fifo("/run/f".into()));
        assert_eq!(Target::parse("fifo:///run/f").unwrap(), Target::Fifo("/run/f".into()));
        assert_eq!(Target::parse("file:///a%20b").unwrap(), Target::File("/a b".into()));
        let Target::Binary(uri) = Target::parse("binary:///l?driver=local&path=%2Fa+b&driver=x&e").unwrap()
        else {
            panic!()
        };
        assert_eq!(uri.path, PathBuf::from("/l"));
        let expected = [("driver", "local"), ("path", "/a b"), ("e", "")];
        assert_eq!(uri.pairs, expected.map(|(k, v)| (k.to_owned(), v.to_owned())));
        assert!(!uri.must_be_ready);
        assert_eq!(Target::parse("tcp://h"), Err(TargetError::Scheme("tcp".into())));
        assert!(matches!(Target::parse("file://a"), Err(TargetError::Relative(_))));
        assert!(matches!(Target::parse("file:///%f"), Err(TargetError::Escape(_))));
    }

    proptest! {
        #[test]
        fn any_text_is_survived(text in ".{0,60}") {
            let _ = Target::parse(&text);
            let _ = Target::parse(&format!("binary:///x?{text}"));
        }
    }
}
