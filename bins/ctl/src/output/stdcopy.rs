//! Docker's multiplexed stream: `[stream, 0, 0, 0, length u32 BE] payload`.

use std::io;

/// Where bytes go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    Stdout,
    Stderr,
}

/// Splits a multiplexed stream, however it is cut into reads.
#[derive(Debug, Default)]
pub struct Demultiplexer {
    header: Vec<u8>,
    payload: Option<(Stream, usize)>,
    /// Text of a `systemerr` frame so far.
    error: Vec<u8>,
}

#[derive(Clone, Copy, Debug)]
enum Stream {
    To(Target),
    SystemError,
}

const HEADER_LENGTH: usize = 8;

impl Demultiplexer {
    /// Takes bytes and gives each piece of payload to `sink`.
    ///
    /// # Errors
    /// An unknown stream number, an error frame of the engine, or the sink's.
    pub fn feed<E: From<io::Error>>(
        &mut self,
        mut bytes: &[u8],
        mut sink: impl FnMut(Target, &[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        while !bytes.is_empty() {
            let Some((stream, left)) = self.payload else {
                bytes = self.open_frame(bytes)?;
                continue;
            };
            let take = left.min(bytes.len());
            match stream {
                Stream::To(target) => sink(target, &bytes[..take])?,
                Stream::SystemError => self.error.extend_from_slice(&bytes[..take]),
            }
            bytes = &bytes[take..];
            self.payload = (take < left).then_some((stream, left - take));
            if self.payload.is_none() && matches!(stream, Stream::SystemError) {
                let text = String::from_utf8_lossy(&self.error).into_owned();
                return Err(io::Error::other(format!("error from daemon in stream: {text}")).into());
            }
        }
        Ok(())
    }

    /// Takes what is missing of a header, and returns what follows.
    fn open_frame<'a>(&mut self, bytes: &'a [u8]) -> io::Result<&'a [u8]> {
        // Nearly always a header is whole, and needs no keeping.
        if let (true, Some((header, rest))) = (self.header.is_empty(), bytes.split_first_chunk()) {
            self.payload = read_header(header)?;
            return Ok(rest);
        }
        let take = (HEADER_LENGTH - self.header.len()).min(bytes.len());
        self.header.extend_from_slice(&bytes[..take]);
        if let Some(header) = self.header.first_chunk() {
            self.payload = read_header(header)?;
            self.header.clear();
        }
        Ok(&bytes[take..])
    }
}

/// What follows a header; nothing for an empty frame.
fn read_header(header: &[u8; HEADER_LENGTH]) -> io::Result<Option<(Stream, usize)>> {
    let [number, _, _, _, a, b, c, d] = *header;
    let stream = match number {
        0 | 1 => Stream::To(Target::Stdout),
        2 => Stream::To(Target::Stderr),
        3 => Stream::SystemError,
        _ => return Err(io::Error::other(format!("Unrecognized input header: {number}"))),
    };
    let length = u32::from_be_bytes([a, b, c, d]) as usize;
    Ok((length > 0).then_some((stream, length)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn frame(stream: u8, payload: &[u8]) -> Vec<u8> {
        let mut bytes = vec![stream, 0, 0, 0];
        bytes.extend((payload.len() as u32).to_be_bytes());
        bytes.extend(payload);
        bytes
    }

    proptest! {
        #[test]
        fn any_cut_gives_the_same(pieces in prop::collection::vec((1u8..3, prop::collection::vec(any::<u8>(), 0..20)), 0..8), cut in 1usize..9) {
            let wire: Vec<u8> = pieces.iter().flat_map(|(stream, payload)| frame(*stream, payload)).collect();
            let mut demultiplexer = Demultiplexer::default();
            let mut got = [Vec::new(), Vec::new()];
            for chunk in wire.chunks(cut) {
                demultiplexer.feed(chunk, |target, bytes| -> io::Result<()> {
                    got[usize::from(target == Target::Stderr)].extend_from_slice(bytes);
                    Ok(())
                }).unwrap();
            }
            for stream in 1..3u8 {
                let expected: Vec<u8> = pieces.iter().filter(|(s, _)| *s == stream).flat_map(|(_, p)| p.clone()).collect();
                prop_assert_eq!(&got[usize::from(stream - 1)], &expected);
            }
        }
    }

    #[test]
    fn an_engine_error_ends_the_stream() {
        let result = Demultiplexer::default().feed(&frame(3, b"gone"), |_, _| -> io::Result<()> { Ok(()) });
        assert_eq!(result.unwrap_err().to_string(), "error from daemon in stream: gone");
        assert!(Demultiplexer::default().feed(&frame(9, b""), |_, _| -> io::Result<()> { Ok(()) }).is_err());
    }
}
