//! The compact format of driver `local`: length-framed records, bytes kept exactly.
//!
//! A record is `len u32 | kind u8 | time i64 | bytes | len u32`, numbers little-endian. `len`
//! counts kind, time and bytes, and stands at both ends so that a reader can walk backwards.
//! `kind` is 1 for stdout and 2 for stderr; `time` is in nanoseconds since 1970. A line's newline
//! is kept in the bytes. A record cut by a crash is overwritten by the next logger.

use crate::source::Taken;
use crate::{Entry, Stream, Time};

const HEAD: usize = 4 + FIXED;
const FIXED: usize = 1 + 8;
const TAIL: usize = 4;
/// No record is larger: pieces of lines are 16 KiB.
const MAX_LENGTH: usize = FIXED + (1 << 20);

/// Appends one record.
pub fn encode(out: &mut Vec<u8>, stream: Stream, time: Time, line: &[u8], newline: bool) {
    let length = (FIXED + line.len() + usize::from(newline)) as u32;
    out.extend_from_slice(&length.to_le_bytes());
    out.push(stream as u8);
    out.extend_from_slice(&time.0.to_le_bytes());
    out.extend_from_slice(line);
    if newline {
        out.push(b'\n');
    }
    out.extend_from_slice(&length.to_le_bytes());
}

/// Takes the first record off `bytes`. What cannot be a record is skipped byte by byte.
pub fn take(bytes: &[u8]) -> Taken {
    let Some(length) = number(bytes) else { return Taken::More };
    if !(FIXED..=MAX_LENGTH).contains(&length) {
        return Taken::Skip(1);
    }
    let whole = 4 + length + TAIL;
    if bytes.len() < whole {
        return Taken::More;
    }
    let stream = match bytes[4] {
        1 => Stream::Stdout,
        2 => Stream::Stderr,
        _ => return Taken::Skip(1),
    };
    if number(&bytes[whole - TAIL..]) != Some(length) {
        return Taken::Skip(1);
    }
    let mut time = [0; 8];
    time.copy_from_slice(&bytes[5..HEAD]);
    let line = bytes[HEAD..whole - TAIL].to_vec();
    Taken::Entry(Entry { stream, time: Time(i64::from_le_bytes(time)), line }, whole)
}

/// The length of the whole record that ends at the end of `bytes`, if its tail can be one.
pub(crate) fn last(bytes: &[u8]) -> Option<usize> {
    let length = number(bytes.get(bytes.len().checked_sub(TAIL)?..)?)?;
    (FIXED..=MAX_LENGTH).contains(&length).then_some(4 + length + TAIL)
}

fn number(bytes: &[u8]) -> Option<usize> {
    bytes.first_chunk::<4>().map(|n| u32::from_le_bytes(*n) as usize)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn records_survive(line: Vec<u8>, newline: bool, time: i64) {
            let mut wire = Vec::new();
            encode(&mut wire, Stream::Stderr, Time(time), &line, newline);
            prop_assert_eq!(last(&wire), Some(wire.len()));
            let mut expected = line;
            if newline { expected.push(b'\n'); }
            let entry = Entry { stream: Stream::Stderr, time: Time(time), line: expected };
            prop_assert_eq!(take(&wire), Taken::Entry(entry, wire.len()));
            prop_assert_eq!(take(&wire[..wire.len() - 1]), Taken::More);
        }

        #[test]
        fn any_bytes_are_survived(bytes: Vec<u8>) {
            match take(&bytes) {
                Taken::Entry(_, used) | Taken::Skip(used) => prop_assert!(used > 0 && used <= bytes.len()),
                Taken::More => {}
            }
            let _ = last(&bytes);
        }
    }
}
