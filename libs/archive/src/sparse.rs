//! Sparse files: GNU's old headers, PAX 0.0, 0.1 and 1.0 maps.

use crate::entry::Segment;
use crate::{Error, Result};

/// Most stretches that a file may have; a map is held in memory.
pub(crate) const SEGMENT_LIMIT: usize = 1 << 20;

/// Checks that stretches are in order, apart, inside `size`, and hold `stored` bytes in all.
pub(crate) fn check(segments: &[Segment], size: u64, stored: u64) -> Result<()> {
    let bad = || Error::invalid("sparse map is malformed");
    let mut end = 0u64;
    let mut total = 0u64;
    for segment in segments {
        if segment.offset < end {
            return Err(bad());
        }
        end = segment.offset.checked_add(segment.length).ok_or_else(bad)?;
        total = total.checked_add(segment.length).ok_or_else(bad)?;
    }
    if end > size || total != stored || i64::try_from(size).is_err() {
        return Err(bad());
    }
    Ok(())
}

/// A PAX 1.0 map as it stands before the data: lines of decimal numbers, the count first.
#[derive(Default)]
pub(crate) struct MapText {
    numbers: Vec<u64>,
    current: Option<u64>,
}

impl MapText {
    /// Takes one block of the body; true when the map is whole.
    pub(crate) fn take(&mut self, block: &[u8]) -> Result<bool> {
        let bad = || Error::invalid("sparse map is malformed");
        for byte in block {
            match byte {
                b'0'..=b'9' => {
                    let value = self.current.unwrap_or(0).checked_mul(10);
                    self.current =
                        Some(value.and_then(|v| v.checked_add(u64::from(byte - b'0'))).ok_or_else(bad)?);
                }
                b'\n' => {
                    self.numbers.push(self.current.take().ok_or_else(bad)?);
                    if self.is_whole()? {
                        return Ok(true);
                    }
                }
                _ => return Err(bad()),
            }
        }
        Ok(false)
    }

    fn is_whole(&self) -> Result<bool> {
        let count = self.numbers[0];
        if count > SEGMENT_LIMIT as u64 {
            return Err(Error::invalid("sparse map is too long"));
        }
        Ok(self.numbers.len() as u64 == 1 + 2 * count)
    }

    pub(crate) fn segments(self) -> Vec<Segment> {
        self.numbers[1..].chunks_exact(2).map(|pair| Segment { offset: pair[0], length: pair[1] }).collect()
    }
}
