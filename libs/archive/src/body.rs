//! The bytes of a file, from the archive to the disk.

use std::io::{BufRead, Seek, SeekFrom, Write};

use crate::entry::Entry;
use crate::{Error, Result};

/// Writes the body straight from the stream's buffer, leaving holes where the entry has them.
pub(crate) fn write_body<R: BufRead>(file: &mut std::fs::File, entry: &Entry, body: &mut R) -> Result<()> {
    let Some(segments) = &entry.segments else {
        return copy(file, entry, body, entry.size);
    };
    let fail = |error| Error::file("write", &entry.path, error);
    file.set_len(entry.size).map_err(fail)?;
    for segment in segments {
        file.seek(SeekFrom::Start(segment.offset)).map_err(fail)?;
        copy(file, entry, body, segment.length)?;
    }
    Ok(())
}

fn copy<R: BufRead>(file: &mut std::fs::File, entry: &Entry, body: &mut R, mut count: u64) -> Result<()> {
    while count > 0 {
        let bytes = body.fill_buf().map_err(Error::Read)?;
        if bytes.is_empty() {
            return Err(Error::Read(std::io::ErrorKind::UnexpectedEof.into()));
        }
        let step = bytes.len().min(usize::try_from(count).unwrap_or(usize::MAX));
        file.write_all(&bytes[..step]).map_err(|e| Error::file("write", &entry.path, e))?;
        body.consume(step);
        count -= step as u64;
    }
    Ok(())
}
