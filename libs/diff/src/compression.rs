//! How a layer is compressed: told by its first bytes and by its media type.

use std::io::{self, BufRead, BufReader, Cursor, Read};

use errdefs::{Error, Result};

/// Bytes read from a source at a time.
pub(crate) const CHUNK: usize = 256 << 10;

/// A compression that layers come in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compression {
    None,
    Gzip,
    Zstd,
}

impl Compression {
    /// By the first bytes: gzip (RFC 1952), a zstd frame or a skippable one (RFC 8878), else none.
    pub fn of_bytes(start: &[u8]) -> Compression {
        match start {
            [0x1f, 0x8b, 0x08, ..] => Compression::Gzip,
            [0x28, 0xb5, 0x2f, 0xfd, ..] | [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..] => Compression::Zstd,
            _ => Compression::None,
        }
    }

    /// By a layer's media type, Docker's or OCI's.
    ///
    /// # Errors
    /// Unimplemented: it is no media type of a layer that is a tar archive.
    pub fn of_media_type(media_type: &str) -> Result<Compression> {
        let (base, suffixes) = match media_type.split_once('+') {
            Some((base, suffixes)) => (base, suffixes),
            None => (media_type, ""),
        };
        let by_suffix = match suffixes {
            "" => Some(Compression::None),
            "gzip" => Some(Compression::Gzip),
            "zstd" => Some(Compression::Zstd),
            _ => None,
        };
        let known = match base {
            "application/vnd.oci.image.layer.v1.tar"
            | "application/vnd.oci.image.layer.nondistributable.v1.tar" => by_suffix,
            "application/vnd.docker.image.rootfs.diff.tar" => by_suffix,
            "application/vnd.docker.image.rootfs.diff.tar.gzip"
            | "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip"
                if suffixes.is_empty() =>
            {
                Some(Compression::Gzip)
            }
            "application/vnd.docker.image.rootfs.diff.tar.zstd" if suffixes.is_empty() => {
                Some(Compression::Zstd)
            }
            "application/vnd.docker.image.rootfs.foreign.diff.tar" => by_suffix,
            _ => None,
        };
        known.ok_or_else(|| {
            Error::unimplemented(format!(
                "failed to get stream processor for {media_type}: no processor for media-type"
            ))
        })
    }
}

/// Decompresses `source` by what its first bytes say; several gzip members or zstd frames are one stream.
///
/// # Errors
/// The source cannot be read.
pub fn decompress<'a>(
    mut source: impl Read + Send + 'a,
) -> io::Result<(Compression, Box<dyn Read + Send + 'a>)> {
    let mut start = Vec::with_capacity(4);
    source.by_ref().take(4).read_to_end(&mut start)?;
    let compression = Compression::of_bytes(&start);
    let whole = Cursor::new(start).chain(source);
    Ok((compression, decoder(BufReader::with_capacity(CHUNK, whole), compression)?))
}

fn decoder<'a>(
    source: impl BufRead + Send + 'a,
    compression: Compression,
) -> io::Result<Box<dyn Read + Send + 'a>> {
    Ok(match compression {
        Compression::None => Box::new(source),
        Compression::Gzip => Box::new(flate2::bufread::MultiGzDecoder::new(source)),
        Compression::Zstd => Box::new(zstd::stream::read::Decoder::with_buffer(source)?),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn media_types_are_told_apart() {
        for (media_type, expected) in [
            ("application/vnd.oci.image.layer.v1.tar", Compression::None),
            ("application/vnd.oci.image.layer.v1.tar+gzip", Compression::Gzip),
            ("application/vnd.oci.image.layer.v1.tar+zstd", Compression::Zstd),
            ("application/vnd.docker.image.rootfs.diff.tar.gzip", Compression::Gzip),
        ] {
            assert_eq!(Compression::of_media_type(media_type).unwrap(), expected);
        }
        for media_type in ["application/vnd.oci.image.layer.v1.tar+gzip+encrypted", "text/plain", ""] {
            let error = Compression::of_media_type(media_type).unwrap_err();
            assert_eq!(error.kind(), errdefs::Kind::Unimplemented, "{media_type}");
        }
    }

    #[test]
    fn streams_of_several_members_are_whole() {
        use std::io::Write;
        let gzip = |text: &str| {
            let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
            encoder.write_all(text.as_bytes()).unwrap();
            encoder.finish().unwrap()
        };
        let zstd = |text: &str| zstd::encode_all(text.as_bytes(), 1).unwrap();
        for (bytes, expected) in [
            ([gzip("one "), gzip("two")].concat(), Compression::Gzip),
            ([zstd("one "), zstd("two")].concat(), Compression::Zstd),
            (b"one two".to_vec(), Compression::None),
        ] {
            let (compression, reader) = decompress(bytes.as_slice()).unwrap();
            assert_eq!(compression, expected);
            assert_eq!(io::read_to_string(reader).unwrap(), "one two");
        }
    }
}
