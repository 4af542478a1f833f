//! PAX extended headers (pax(1) "pax Extended Header").

use crate::entry::{Segment, Time};
use crate::{Error, Result};

/// Key prefix of extended attributes, as star and Go write them.
pub(crate) const XATTR: &[u8] = b"SCHILY.xattr.";

/// The records that mean something to us; absent ones leave the header's value.
#[derive(Clone, Debug, Default)]
pub(crate) struct Records {
    pub path: Option<Vec<u8>>,
    pub link: Option<Vec<u8>>,
    pub size: Option<u64>,
    pub uid: Option<i64>,
    pub gid: Option<i64>,
    pub modified: Option<Time>,
    pub xattrs: Vec<(Vec<u8>, Vec<u8>)>,
    /// GNU.sparse.major, minor.
    pub sparse_version: Option<(u64, u64)>,
    pub sparse_name: Option<Vec<u8>>,
    pub sparse_size: Option<u64>,
    /// Version 0.0 and 0.1 maps.
    pub sparse_map: Vec<Segment>,
    sparse_offset: Option<u64>,
    sparse_major: Option<u64>,
}

impl Records {
    /// Adds the records of one extended header; later ones win.
    pub(crate) fn read(&mut self, mut bytes: &[u8]) -> Result<()> {
        while !bytes.is_empty() {
            let (key, value, rest) = split_record(bytes)?;
            self.set(key, value)?;
            bytes = rest;
        }
        Ok(())
    }

    fn set(&mut self, key: &[u8], value: &[u8]) -> Result<()> {
        match key {
            b"path" => self.path = some_text(value)?,
            b"linkpath" => self.link = some_text(value)?,
            b"size" => self.size = some_number(value)?,
            b"uid" => self.uid = some_number(value)?,
            b"gid" => self.gid = some_number(value)?,
            b"mtime" => self.modified = if value.is_empty() { None } else { Some(parse_time(value)?) },
            b"GNU.sparse.major" => self.sparse_major = some_number(value)?,
            b"GNU.sparse.minor" => {
                let minor: u64 = some_number(value)?.unwrap_or(0);
                self.sparse_version = Some((self.sparse_major.unwrap_or(0), minor));
            }
            b"GNU.sparse.name" => self.sparse_name = some_text(value)?,
            b"GNU.sparse.size" | b"GNU.sparse.realsize" => self.sparse_size = some_number(value)?,
            b"GNU.sparse.offset" => self.sparse_offset = some_number(value)?,
            b"GNU.sparse.numbytes" => {
                let (Some(offset), Some(length)) = (self.sparse_offset.take(), some_number(value)?) else {
                    return Err(Error::invalid("sparse map is malformed"));
                };
                self.sparse_map.push(Segment { offset, length });
            }
            b"GNU.sparse.map" => self.sparse_map = parse_map(value)?,
            _ => {
                if let Some(name) = key.strip_prefix(XATTR)
                    && !name.is_empty()
                    && !name.contains(&0)
                {
                    self.xattrs.retain(|(known, _)| known != name);
                    self.xattrs.push((name.to_vec(), value.to_vec()));
                }
            }
        }
        Ok(())
    }

    pub(crate) fn is_sparse(&self) -> bool {
        self.sparse_version.is_some() || !self.sparse_map.is_empty() || self.sparse_size.is_some()
    }
}

/// Splits off `LENGTH KEY=VALUE\n`.
fn split_record(bytes: &[u8]) -> Result<(&[u8], &[u8], &[u8])> {
    let bad = || Error::invalid("extended header record is malformed");
    let space = bytes.iter().position(|b| *b == b' ').filter(|at| (1..=20).contains(at)).ok_or_else(bad)?;
    let length: usize = parse_number(&bytes[..space]).map_err(|_| bad())?;
    if length <= space + 1 || length > bytes.len() || bytes[length - 1] != b'\n' {
        return Err(bad());
    }
    let record = &bytes[space + 1..length - 1];
    let equals = record.iter().position(|b| *b == b'=').filter(|at| *at > 0).ok_or_else(bad)?;
    Ok((&record[..equals], &record[equals + 1..], &bytes[length..]))
}

fn parse_number<T: std::str::FromStr>(text: &[u8]) -> Result<T> {
    let bad = || Error::invalid("extended header number is malformed");
    // from_str takes a leading plus sign, which the format does not have.
    if !text.first().is_some_and(|b| b.is_ascii_digit() || *b == b'-') {
        return Err(bad());
    }
    std::str::from_utf8(text).ok().and_then(|text| text.parse().ok()).ok_or_else(bad)
}

fn some_number<T: std::str::FromStr>(value: &[u8]) -> Result<Option<T>> {
    if value.is_empty() { Ok(None) } else { parse_number(value).map(Some) }
}

fn some_text(value: &[u8]) -> Result<Option<Vec<u8>>> {
    if value.contains(&0) {
        return Err(Error::invalid("path holds a NUL byte"));
    }
    Ok((!value.is_empty()).then(|| value.to_vec()))
}

/// Decimal seconds with an optional fraction of any length.
fn parse_time(value: &[u8]) -> Result<Time> {
    let (whole, fraction) = match value.iter().position(|b| *b == b'.') {
        Some(at) => (&value[..at], &value[at + 1..]),
        None => (value, &b""[..]),
    };
    let seconds: i64 = parse_number(whole)?;
    if !fraction.iter().all(u8::is_ascii_digit) {
        return Err(Error::invalid("time is malformed"));
    }
    let nanoseconds = (0..9).fold(0u32, |value, index| {
        value * 10 + fraction.get(index).map_or(0, |digit| u32::from(digit - b'0'))
    });
    if whole.starts_with(b"-") && nanoseconds > 0 {
        let seconds = seconds.checked_sub(1).ok_or_else(|| Error::invalid("time is malformed"))?;
        return Ok(Time { seconds, nanoseconds: 1_000_000_000 - nanoseconds });
    }
    Ok(Time { seconds, nanoseconds })
}

/// Version 0.1: comma-separated offset, length, offset, length...
fn parse_map(value: &[u8]) -> Result<Vec<Segment>> {
    let numbers = value.split(|b| *b == b',').map(parse_number).collect::<Result<Vec<u64>>>()?;
    if numbers.len() % 2 != 0 {
        return Err(Error::invalid("sparse map is malformed"));
    }
    Ok(numbers.chunks_exact(2).map(|pair| Segment { offset: pair[0], length: pair[1] }).collect())
}

/// Writes `LENGTH KEY=VALUE\n`; the length counts its own digits.
pub(crate) fn put_record(out: &mut Vec<u8>, key: &[u8], value: &[u8]) {
    let bare = key.len() + value.len() + 3;
    let mut length = bare + 1;
    while length != bare + decimal_digits(length) {
        length = bare + decimal_digits(length);
    }
    out.extend_from_slice(length.to_string().as_bytes());
    out.push(b' ');
    out.extend_from_slice(key);
    out.push(b'=');
    out.extend_from_slice(value);
    out.push(b'\n');
}

fn decimal_digits(number: usize) -> usize {
    number.to_string().len()
}

/// Seconds with their fraction, trailing zeros taken off.
pub(crate) fn time_text(time: Time) -> String {
    let Time { mut seconds, mut nanoseconds } = time;
    let mut sign = "";
    if seconds < 0 {
        sign = "-";
        if nanoseconds > 0 {
            seconds += 1;
            nanoseconds = 1_000_000_000 - nanoseconds;
        }
    }
    let fraction = format!("{nanoseconds:09}");
    let fraction = fraction.trim_end_matches('0');
    let dot = if fraction.is_empty() { "" } else { "." };
    format!("{sign}{}{dot}{fraction}", seconds.unsigned_abs())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn record_length_counts_itself() {
        for length in 80..100 {
            let mut out = Vec::new();
            put_record(&mut out, b"path", &vec![b'a'; length]);
            assert!(out.starts_with(format!("{} path=", out.len()).as_bytes()));
            let mut records = Records::default();
            records.read(&out).unwrap();
            assert_eq!(records.path.unwrap().len(), length);
        }
    }

    #[test]
    fn times_keep_their_fraction_and_sign() {
        for (text, seconds, nanoseconds) in
            [("5", 5, 0), ("5.25", 5, 250_000_000), ("-1.5", -2, 500_000_000), ("-0.5", -1, 500_000_000)]
        {
            let time = parse_time(text.as_bytes()).unwrap();
            assert_eq!((time.seconds, time.nanoseconds), (seconds, nanoseconds), "{text}");
            assert_eq!(time_text(time), text);
        }
        assert!(parse_time(b"1.x").is_err() && parse_time(b"+1").is_err());
    }

    #[test]
    fn malformed_records_are_refused() {
        for bytes in [&b"5 a=b\n"[..], b"99 a=b\n", b"x a=b\n", b"7 =bbb\n", b"6 abc\n", b"0 \n"] {
            assert!(Records::default().read(bytes).is_err(), "{bytes:?}");
        }
    }
}
