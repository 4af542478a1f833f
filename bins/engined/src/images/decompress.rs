//! Compressions that only Docker takes for archives: bzip2 and xz, undone before anybody else reads.

use std::io::{self, Read};

use bytes::Bytes;
use tokio::sync::mpsc;

/// Bytes that go on at a time.
const CHUNK_BYTES: usize = 256 << 10;

/// What a body begins with, as far as it matters here.
fn is_foreign(start: &[u8]) -> bool {
    start.starts_with(b"BZh") || start.starts_with(&[0xfd, b'7', b'z', b'X', b'Z', 0])
}

/// The reader of what `source` holds; gzip, zstd and plain archives are passed on as they are.
///
/// # Errors
/// The source cannot be read.
pub fn foreign<'a>(mut source: impl Read + Send + 'a) -> io::Result<Box<dyn Read + Send + 'a>> {
    let mut start = Vec::with_capacity(6);
    source.by_ref().take(6).read_to_end(&mut start)?;
    let is_bzip2 = start.starts_with(b"BZh");
    let is_foreign = is_foreign(&start);
    let whole = io::Cursor::new(start).chain(source);
    Ok(match (is_foreign, is_bzip2) {
        (false, _) => Box::new(whole),
        (true, true) => Box::new(bzip2::read::MultiBzDecoder::new(whole)),
        (true, false) => Box::new(lzma_rust2::XzReader::new(whole, true)),
    })
}

/// A body without such a compression: another body when it had one, else the same.
pub async fn body(mut pieces: mpsc::Receiver<Bytes>) -> mpsc::Receiver<io::Result<Bytes>> {
    let (send, receive) = mpsc::channel(16);
    let mut start = Vec::new();
    while start.len() < 6 {
        match pieces.recv().await {
            Some(piece) => start.extend_from_slice(&piece),
            None => break,
        }
    }
    let is_foreign = is_foreign(&start);
    let first = Bytes::from(start);
    if is_foreign {
        tokio::task::spawn_blocking(move || {
            let source = Pieces { current: first, pieces };
            let outcome = foreign(source).and_then(|reader| feed(reader, &send));
            if let Err(error) = outcome {
                let _ = send.blocking_send(Err(error));
            }
        });
    } else {
        tokio::spawn(async move {
            let mut next = Some(first);
            while let Some(piece) = next {
                if send.send(Ok(piece)).await.is_err() {
                    return;
                }
                next = pieces.recv().await;
            }
        });
    }
    receive
}

/// Reads to the end into a channel; stops when nobody listens.
fn feed(mut reader: impl Read, send: &mpsc::Sender<io::Result<Bytes>>) -> io::Result<()> {
    loop {
        let mut chunk = Vec::with_capacity(CHUNK_BYTES);
        let count = reader.by_ref().take(CHUNK_BYTES as u64).read_to_end(&mut chunk)?;
        if count == 0 || send.blocking_send(Ok(chunk.into())).is_err() {
            return Ok(());
        }
    }
}

/// A channel read on a thread that may wait.
struct Pieces {
    current: Bytes,
    pieces: mpsc::Receiver<Bytes>,
}

impl Read for Pieces {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        while self.current.is_empty() {
            match self.pieces.blocking_recv() {
                Some(piece) => self.current = piece,
                None => return Ok(0),
            }
        }
        let count = self.current.len().min(out.len());
        out[..count].copy_from_slice(&self.current.split_to(count));
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    #[test]
    fn both_are_undone_and_others_left() {
        let mut bzip2 = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::fast());
        bzip2.write_all(b"ahoy").unwrap();
        let mut xz = lzma_rust2::XzWriter::new(Vec::new(), lzma_rust2::XzOptions::default()).unwrap();
        xz.write_all(b"ahoy").unwrap();
        for packed in [bzip2.finish().unwrap(), xz.finish().unwrap(), b"ahoy".to_vec()] {
            assert_eq!(io::read_to_string(foreign(packed.as_slice()).unwrap()).unwrap(), "ahoy");
        }
        assert_eq!(io::read_to_string(foreign(&b""[..]).unwrap()).unwrap(), "");
        let broken = foreign(&b"BZh9 no such thing"[..]).unwrap();
        assert!(io::read_to_string(broken).is_err());
    }
}
