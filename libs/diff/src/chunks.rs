//! Passes a stream between threads in chunks.

use std::io::{self, BufRead, Read};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender};

use crate::compression::CHUNK;

/// Chunks that may wait for a reader: enough to smooth, little enough for memory.
pub(crate) const DEPTH: usize = 16;

/// A chunk, or the error that ended the stream.
pub(crate) type Chunk = io::Result<Arc<Vec<u8>>>;

/// Reads `source` to its end into every one of `sinks`; stops when the first one is gone.
pub(crate) fn spread(mut source: impl Read, sinks: &[SyncSender<Chunk>]) {
    loop {
        let mut chunk = Vec::with_capacity(CHUNK);
        let result = source.by_ref().take(CHUNK as u64).read_to_end(&mut chunk);
        let chunk = match result {
            Ok(0) => return,
            Ok(_) => Ok(Arc::new(chunk)),
            Err(error) => Err(error),
        };
        let failed = chunk.is_err();
        for (index, sink) in sinks.iter().enumerate() {
            let copy = match &chunk {
                Ok(chunk) => Ok(chunk.clone()),
                Err(error) => Err(io::Error::new(error.kind(), error.to_string())),
            };
            if sink.send(copy).is_err() && index == 0 {
                return;
            }
        }
        if failed {
            return;
        }
    }
}

/// The reading end.
pub(crate) struct ChunkReader {
    chunks: Receiver<Chunk>,
    current: Arc<Vec<u8>>,
    position: usize,
}

impl ChunkReader {
    pub(crate) fn new(chunks: Receiver<Chunk>) -> ChunkReader {
        ChunkReader { chunks, current: Arc::default(), position: 0 }
    }
}

impl BufRead for ChunkReader {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.position == self.current.len()
            && let Ok(next) = self.chunks.recv()
        {
            (self.current, self.position) = (next?, 0);
        }
        Ok(&self.current[self.position..])
    }

    fn consume(&mut self, count: usize) {
        self.position += count;
    }
}

impl Read for ChunkReader {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let bytes = self.fill_buf()?;
        let count = bytes.len().min(out.len());
        out[..count].copy_from_slice(&bytes[..count]);
        self.consume(count);
        Ok(count)
    }
}
