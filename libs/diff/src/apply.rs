//! A layer into a directory.

use std::io::{BufRead, BufReader, Read};
use std::sync::mpsc::sync_channel;

use errdefs::{Error, Result};
use reference::Digest;
use ring::digest::{Context, SHA256};

use crate::chunks::{ChunkReader, DEPTH, spread};
use crate::compression::{CHUNK, Compression, decompress};
use crate::hash::digest;
use crate::target::Target;

/// A layer to be applied.
pub struct Layer<'a, R> {
    /// The bytes, compressed or not.
    pub stream: R,
    /// The digest of these bytes where it is known to be right: a layer that is not compressed is
    /// not hashed again.
    pub verified: Option<&'a Digest>,
}

/// What was applied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Applied {
    /// Digest of the plain archive.
    pub diff_id: Digest,
    /// Bytes of the plain archive.
    pub size: u64,
}

/// Decompresses, hashes and untars, each on a thread of its own; the stream is read to its end.
/// Nothing is synced: see [`Target::sync`].
///
/// # Errors
/// The stream or the archive is broken, or a file cannot be made.
pub fn apply<R: Read + Send>(layer: Layer<'_, R>, target: &Target) -> Result<Applied> {
    let (compression, plain) =
        decompress(layer.stream).map_err(|cause| Error::unknown("cannot read layer").with_source(cause))?;
    match layer.verified {
        Some(known) if compression == Compression::None => {
            let mut counted = Counted { inner: BufReader::with_capacity(CHUNK, plain), size: 0 };
            untar(&mut counted, target)?;
            Ok(Applied { diff_id: known.clone(), size: counted.size })
        }
        _ => apply_hashing(plain, target),
    }
}

fn apply_hashing(plain: Box<dyn Read + Send + '_>, target: &Target) -> Result<Applied> {
    std::thread::scope(|scope| {
        let (to_untar, untar_chunks) = sync_channel(DEPTH);
        let (to_hash, hash_chunks) = sync_channel(DEPTH);
        scope.spawn(move || spread(plain, &[to_untar, to_hash]));
        let hashing = scope.spawn(move || {
            let (mut hasher, mut size) = (Context::new(&SHA256), 0);
            while let Ok(Ok(chunk)) = hash_chunks.recv() {
                hasher.update(chunk.as_slice());
                size += chunk.len() as u64;
            }
            (digest(hasher), size)
        });
        untar(&mut ChunkReader::new(untar_chunks), target)?;
        let (diff_id, size) =
            hashing.join().map_err(|_| Error::internal("cannot hash layer: the thread died"))?;
        Ok(Applied { diff_id, size })
    })
}

/// Whether a layer could not be applied because it builds on layers that are not here yet.
pub fn needs_lowers(error: &Error) -> bool {
    let cause = std::error::Error::source(error).and_then(|cause| cause.downcast_ref::<archive::Error>());
    matches!(cause, Some(archive::Error::NeedsLowers(_)))
}

/// Applies, then reads what follows the end mark: it counts for the digest.
fn untar(stream: &mut impl BufRead, target: &Target) -> Result<()> {
    let fail = |kind, cause: archive::Error| Error::new(kind, "failed to extract layer").with_source(cause);
    archive::apply(target.root(), &mut *stream, target.options()?)
        .map_err(|cause| fail(cause.kind(), cause))?;
    loop {
        let count = stream.fill_buf().map_err(|cause| {
            let cause = archive::Error::Read(cause);
            fail(cause.kind(), cause)
        })?;
        let count = count.len();
        if count == 0 {
            return Ok(());
        }
        stream.consume(count);
    }
}

/// Counts what is consumed.
struct Counted<R> {
    inner: R,
    size: u64,
}

impl<R: BufRead> BufRead for Counted<R> {
    fn fill_buf(&mut self) -> std::io::Result<&[u8]> {
        self.inner.fill_buf()
    }

    fn consume(&mut self, count: usize) {
        self.inner.consume(count);
        self.size += count as u64;
    }
}

impl<R: BufRead> Read for Counted<R> {
    fn read(&mut self, out: &mut [u8]) -> std::io::Result<usize> {
        let count = self.inner.read(out)?;
        self.size += count as u64;
        Ok(count)
    }
}
