//! The changes between two snapshots to a layer.

use std::io::{Read, Write};

use archive::{Time, Writer};
use containerd_api::types::Mount;
use errdefs::{Error, Result};
use reference::Digest;

use crate::compare::{Layer, compare};
use crate::compression::Compression;
use crate::hash::HashWriter;
use crate::target::Target;
use crate::upper;

/// Near gzip's default in size at a third of its time.
const GZIP_LEVEL: u32 = 4;
const ZSTD_LEVEL: i32 = 3;

/// How to write.
#[derive(Clone, Copy, Debug)]
pub struct WriteOptions {
    pub compression: Compression,
    /// Times later than this are cut to it (SOURCE_DATE_EPOCH).
    pub epoch: Option<Time>,
}

/// What was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Written {
    /// Digest of the plain archive.
    pub diff_id: Digest,
    /// Bytes of the plain archive.
    pub size: u64,
}

/// Writes what turns the tree that `left` shows (none: the empty tree) into that of `right` to `sink`.
///
/// # Errors
/// The trees cannot be mounted or read, or `sink` fails.
pub fn write<W: Write>(left: &[Mount], right: &[Mount], options: WriteOptions, sink: W) -> Result<Written> {
    let encoder = Encoder::new(sink, options.compression).map_err(failed)?;
    let buffered = std::io::BufWriter::with_capacity(256 << 10, encoder);
    let writer = Writer::new(HashWriter::new(buffered)).with_ids(crate::ids::of(right)?);
    let mut layer = Layer::new(writer, options.epoch);
    match upper::over(left, right) {
        Some((upper, below)) if upper::is_plain(upper)? => upper::write_upper(upper, &below, &mut layer)?,
        _ => {
            let left = if left.is_empty() { None } else { Some(Target::readable(left)?) };
            let right = Target::readable(right)?;
            compare(left.as_ref().map(Target::root), right.root(), &mut layer)?;
        }
    }
    let hashed = layer
        .writer
        .finish()
        .map_err(|cause| Error::new(cause.kind(), "cannot write layer").with_source(cause))?;
    let (buffered, diff_id, size) = hashed.finish();
    let encoder = buffered.into_inner().map_err(|error| failed(error.into_error()))?;
    encoder.finish().map_err(failed)?;
    Ok(Written { diff_id, size })
}

/// Writes what `plain` gives to `sink`, compressed.
///
/// # Errors
/// `plain` or `sink` fails.
pub fn compress<W: Write>(mut plain: impl Read, compression: Compression, sink: W) -> Result<Written> {
    let encoder = Encoder::new(sink, compression).map_err(failed)?;
    let buffered = std::io::BufWriter::with_capacity(256 << 10, encoder);
    let mut hashed = HashWriter::new(buffered);
    std::io::copy(&mut plain, &mut hashed).map_err(failed)?;
    let (buffered, diff_id, size) = hashed.finish();
    let encoder = buffered.into_inner().map_err(|error| failed(error.into_error()))?;
    encoder.finish().map_err(failed)?;
    Ok(Written { diff_id, size })
}

fn failed(cause: std::io::Error) -> Error {
    Error::unknown("cannot write layer").with_source(cause)
}

enum Encoder<W: Write> {
    None(W),
    Gzip(flate2::write::GzEncoder<W>),
    Zstd(zstd::stream::write::Encoder<'static, W>),
}

impl<W: Write> Encoder<W> {
    fn new(sink: W, compression: Compression) -> std::io::Result<Encoder<W>> {
        Ok(match compression {
            Compression::None => Encoder::None(sink),
            Compression::Gzip => {
                Encoder::Gzip(flate2::write::GzEncoder::new(sink, flate2::Compression::new(GZIP_LEVEL)))
            }
            Compression::Zstd => Encoder::Zstd(zstd::stream::write::Encoder::new(sink, ZSTD_LEVEL)?),
        })
    }

    fn finish(self) -> std::io::Result<()> {
        let mut sink = match self {
            Encoder::None(sink) => sink,
            Encoder::Gzip(encoder) => encoder.finish()?,
            Encoder::Zstd(encoder) => encoder.finish()?,
        };
        sink.flush()
    }
}

impl<W: Write> Write for Encoder<W> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        match self {
            Encoder::None(sink) => sink.write(bytes),
            Encoder::Gzip(encoder) => encoder.write(bytes),
            Encoder::Zstd(encoder) => encoder.write(bytes),
        }
    }

    fn flush(&mut self) -> std::io::Result<()> {
        match self {
            Encoder::None(sink) => sink.flush(),
            Encoder::Gzip(encoder) => encoder.flush(),
            Encoder::Zstd(encoder) => encoder.flush(),
        }
    }
}
