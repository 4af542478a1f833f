//! Reading blobs.

use errdefs::{Error, Result};
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileExt;

/// An open blob: bytes at any offset by shared reference, or one after the other by [`Read`].
#[derive(Debug)]
pub struct ReaderAt {
    file: File,
    size: u64,
}

impl ReaderAt {
    pub(crate) fn new(file: File, size: u64) -> ReaderAt {
        ReaderAt { file, size }
    }

    /// Bytes in the blob.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Fills as much of `buffer` as the blob has from `offset` on; 0 at the end.
    pub fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let mut filled = 0;
        while filled < buffer.len() {
            match self.file.read_at(&mut buffer[filled..], offset + filled as u64) {
                Ok(0) => break,
                Ok(count) => filled += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(filled)
    }

    /// The whole blob, refused when it is larger than `limit_bytes`.
    pub fn read_all(&self, limit_bytes: u64) -> Result<Vec<u8>> {
        if self.size > limit_bytes {
            return Err(Error::out_of_range(format!(
                "cannot read blob of {} bytes into memory, the limit is {limit_bytes}",
                self.size
            )));
        }
        let mut data = vec![0; self.size as usize];
        let count = self
            .read_at(&mut data, 0)
            .map_err(|cause| Error::unknown("cannot read blob").with_source(cause))?;
        if count < data.len() {
            return Err(Error::new(
                errdefs::Kind::DataLoss,
                "cannot read blob: its file is shorter than its size",
            ));
        }
        Ok(data)
    }

    /// The file itself.
    pub fn into_file(self) -> File {
        self.file
    }
}

impl Read for ReaderAt {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.file.read(buffer)
    }
}
