//! Hashing what passes by.

use std::io::{self, Write};

use reference::Digest;
use ring::digest::{Context, SHA256};

/// Passes bytes on and keeps their SHA-256 and count.
pub struct HashWriter<W> {
    inner: W,
    hasher: Context,
    size: u64,
}

impl<W> HashWriter<W> {
    /// Hashes what is written to `inner`.
    pub fn new(inner: W) -> HashWriter<W> {
        HashWriter { inner, hasher: Context::new(&SHA256), size: 0 }
    }

    /// The stream underneath, the digest, and the count of bytes.
    pub fn finish(self) -> (W, Digest, u64) {
        (self.inner, digest(self.hasher), self.size)
    }
}

impl<W: Write> Write for HashWriter<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = self.inner.write(bytes)?;
        self.hasher.update(&bytes[..count]);
        self.size += count as u64;
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

pub(crate) fn digest(hasher: Context) -> Digest {
    Digest::parse(&format!("sha256:{}", hex::encode(hasher.finish())))
        .expect("a computed digest is well formed")
}
