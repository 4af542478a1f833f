//! One open log file, read forward entry by entry.

use crate::{Driver, Entry, json_file, local};
use std::fs::File;
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::Path;

const CHUNK_BYTES: usize = 64 * 1024;

/// What was found at the start of some bytes; the numbers are how many were used.
#[derive(Debug, PartialEq, Eq)]
pub enum Taken {
    /// A whole entry.
    Entry(Entry, usize),
    /// Something that is none.
    Skip(usize),
    /// The start of an entry.
    More,
}

pub(crate) fn take(driver: Driver, bytes: &[u8]) -> Taken {
    match driver {
        Driver::JsonFile => json_file::take(bytes),
        Driver::Local => local::take(bytes),
        Driver::None => Taken::More,
    }
}

/// A file with a position, and the bytes read ahead.
pub(crate) struct Source {
    file: File,
    driver: Driver,
    /// Where the next read from the file begins.
    position: u64,
    buffer: Vec<u8>,
    used: usize,
}

impl Source {
    pub(crate) fn open(driver: Driver, path: &Path, position: u64) -> io::Result<Source> {
        Ok(Source { file: File::open(path)?, driver, position, buffer: Vec::new(), used: 0 })
    }

    /// Device and inode.
    pub(crate) fn identity(&self) -> io::Result<(u64, u64)> {
        let stat = self.file.metadata()?;
        Ok((stat.dev(), stat.ino()))
    }

    /// The next entry; `None` at what is now the end of the file.
    pub(crate) fn next_entry(&mut self) -> io::Result<Option<Entry>> {
        loop {
            match take(self.driver, &self.buffer[self.used..]) {
                Taken::Entry(entry, used) => {
                    self.used += used;
                    return Ok(Some(entry));
                }
                Taken::Skip(used) => self.used += used,
                Taken::More => {
                    if !self.fill()? {
                        return Ok(None);
                    }
                }
            }
        }
    }

    /// Reads on; false at the end. A file that was cut short is read from its start.
    fn fill(&mut self) -> io::Result<bool> {
        self.buffer.drain(..self.used);
        self.used = 0;
        if self.file.metadata()?.len() < self.position {
            self.position = 0;
            self.buffer.clear();
        }
        let held = self.buffer.len();
        self.buffer.resize(held + CHUNK_BYTES, 0);
        let read = self.file.read_at(&mut self.buffer[held..], self.position);
        self.buffer.truncate(held + read.as_ref().copied().unwrap_or(0));
        let read = read?;
        self.position += read as u64;
        Ok(read > 0)
    }
}

/// How many of the last `wanted` entries stand in the file, and the offset of the first of them.
pub(crate) fn seek_tail(driver: Driver, path: &Path, wanted: u64) -> io::Result<(u64, u64)> {
    let file = File::open(path)?;
    let length = file.metadata()?.len();
    match driver {
        Driver::JsonFile => seek_lines(&file, length, wanted),
        Driver::Local => seek_records(&file, length, wanted),
        Driver::None => Ok((0, length)),
    }
}

fn seek_lines(file: &File, length: u64, wanted: u64) -> io::Result<(u64, u64)> {
    let mut chunk = vec![0; CHUNK_BYTES];
    let mut seen = 0;
    let mut end = length;
    while end > 0 {
        let start = end.saturating_sub(CHUNK_BYTES as u64);
        let bytes = &mut chunk[..(end - start) as usize];
        file.read_exact_at(bytes, start)?;
        for (at, _) in bytes.iter().enumerate().rev().filter(|(_, b)| **b == b'\n') {
            if seen == wanted {
                return Ok((wanted, start + at as u64 + 1));
            }
            seen += 1;
        }
        end = start;
    }
    Ok((seen, 0))
}

fn seek_records(file: &File, length: u64, wanted: u64) -> io::Result<(u64, u64)> {
    // A torn record at the end (of a writer that died, or writes just now) has no usable tail.
    let mut end = whole_records(file, length)?;
    let mut seen = 0;
    let mut tail = [0; 4];
    while seen < wanted && end >= 4 {
        file.read_exact_at(&mut tail, end - 4)?;
        let Some(size) = local::last(&tail).filter(|size| *size as u64 <= end) else { break };
        end -= size as u64;
        seen += 1;
    }
    Ok((seen, end))
}

/// The length of the file up to the end of its last whole record.
pub(crate) fn whole_records(file: &File, length: u64) -> io::Result<u64> {
    if ends_in_record(file, length)? {
        return Ok(length);
    }
    let mut position = 0;
    let mut head = [0; 4];
    while length - position >= 8 {
        file.read_exact_at(&mut head, position)?;
        let next = local::last(&head).map_or(u64::MAX, |size| position + size as u64);
        if next > length || !ends_in_record(file, next)? {
            break;
        }
        position = next;
    }
    Ok(position)
}

/// Whether the record that seems to end at `end` has the same length at its start.
fn ends_in_record(file: &File, end: u64) -> io::Result<bool> {
    if end == 0 {
        return Ok(true);
    }
    let (mut tail, mut head) = ([0; 4], [0; 4]);
    if end < 8 {
        return Ok(false);
    }
    file.read_exact_at(&mut tail, end - 4)?;
    let Some(start) = local::last(&tail).and_then(|size| end.checked_sub(size as u64)) else {
        return Ok(false);
    };
    file.read_exact_at(&mut head, start)?;
    Ok(head == tail)
}
