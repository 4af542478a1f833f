//! Questions to an engine on one kept connection, with no client program around them.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;

/// A connection to an engine.
pub struct Connection(BufReader<UnixStream>);

impl Connection {
    pub fn open(socket: &Path) -> io::Result<Connection> {
        Ok(Connection(BufReader::new(UnixStream::connect(socket)?)))
    }

    /// Asks for `path` and reads the whole answer.
    pub fn get(&mut self, path: &str) -> io::Result<Vec<u8>> {
        write!(self.0.get_mut(), "GET {path} HTTP/1.1\r\nHost: engine\r\n\r\n")?;
        let (mut length, mut chunked, mut line) = (0, false, String::new());
        loop {
            line.clear();
            self.0.read_line(&mut line)?;
            let Some((name, value)) = line.trim_end().split_once(':') else {
                if line.trim_end().is_empty() {
                    break;
                }
                continue;
            };
            match name.to_ascii_lowercase().as_str() {
                "content-length" => length = value.trim().parse().map_err(io::Error::other)?,
                "transfer-encoding" => chunked = value.trim() == "chunked",
                _ => {}
            }
        }
        if chunked { self.chunks() } else { self.exactly(length) }
    }

    fn exactly(&mut self, length: usize) -> io::Result<Vec<u8>> {
        let mut body = vec![0; length];
        self.0.read_exact(&mut body)?;
        Ok(body)
    }

    fn chunks(&mut self) -> io::Result<Vec<u8>> {
        let mut body = Vec::new();
        loop {
            let mut size = String::new();
            self.0.read_line(&mut size)?;
            let size = usize::from_str_radix(size.trim(), 16).map_err(io::Error::other)?;
            body.append(&mut self.exactly(size)?);
            self.exactly(2)?;
            if size == 0 {
                return Ok(body);
            }
        }
    }
}
