//! A container's streams: where its logger is, who reads it, and its standard input.

use std::io;
use std::path::{Path, PathBuf};

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::net::unix::pipe;

/// Header of a frame: stream, three zeros, length.
pub const HEADER_BYTES: usize = 8;
/// No writer sends longer frames; more would be a foreign protocol.
const FRAME_LIMIT_BYTES: usize = 1 << 20;

/// One reader of a container's output, joined: everything from now on is delivered.
pub struct Output(UnixStream);

impl Output {
    /// Joins the logger that serves `path`.
    ///
    /// # Errors
    /// Nobody serves there.
    pub async fn join(path: &Path) -> io::Result<Output> {
        let mut stream = UnixStream::connect(path).await?;
        // The first header says "joined".
        stream.read_exact(&mut [0; HEADER_BYTES]).await?;
        Ok(Output(stream))
    }

    /// The next frame with its header; `None` when the container's streams have ended.
    pub async fn next(&mut self) -> io::Result<Option<Frame>> {
        let mut frame = BytesMut::zeroed(HEADER_BYTES);
        match self.0.read_exact(&mut frame).await {
            Ok(_) => {}
            Err(end) if end.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
            Err(error) => return Err(error),
        }
        let stream = frame[0];
        let length = u32::from_be_bytes([frame[4], frame[5], frame[6], frame[7]]) as usize;
        if length > FRAME_LIMIT_BYTES {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "frame too long"));
        }
        frame.resize(HEADER_BYTES + length, 0);
        self.0.read_exact(&mut frame[HEADER_BYTES..]).await?;
        Ok(Some(Frame { stream, bytes: frame.freeze() }))
    }
}

/// A piece of output.
pub struct Frame {
    /// 1 standard output, 2 standard error.
    pub stream: u8,
    /// Header and payload.
    pub bytes: Bytes,
}

impl Frame {
    /// What the process wrote.
    pub fn payload(&self) -> Bytes {
        self.bytes.slice(HEADER_BYTES..)
    }
}

/// Puts a header before a payload.
pub fn frame(stream: u8, payload: &[u8]) -> Bytes {
    let mut bytes = BytesMut::with_capacity(HEADER_BYTES + payload.len());
    bytes.extend_from_slice(&header(stream, payload.len()));
    bytes.extend_from_slice(payload);
    bytes.freeze()
}

/// What goes before `length` bytes of a stream.
pub fn header(stream: u8, length: usize) -> [u8; HEADER_BYTES] {
    let [a, b, c, d] = u32::try_from(length).unwrap_or(u32::MAX).to_be_bytes();
    [stream, 0, 0, 0, a, b, c, d]
}

/// The writing end of a container's standard input.
pub struct Stdin {
    path: PathBuf,
    pipe: tokio::sync::Mutex<Option<pipe::Sender>>,
}

impl Stdin {
    /// Makes the fifo if it is not there, and opens it. Opening for both directions never blocks
    /// and keeps what was written until the shim reads it.
    ///
    /// # Errors
    /// The fifo cannot be made or opened.
    pub fn open(path: &Path) -> io::Result<Stdin> {
        make_fifo(path)?;
        let pipe = pipe::OpenOptions::new().read_write(true).open_sender(path)?;
        Ok(Stdin { path: path.to_owned(), pipe: tokio::sync::Mutex::new(Some(pipe)) })
    }

    /// The fifo.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Writes all of it, however long the container takes to read.
    ///
    /// # Errors
    /// The input has been closed.
    pub async fn write(&self, bytes: &[u8]) -> io::Result<()> {
        match self.pipe.lock().await.as_mut() {
            Some(pipe) => pipe.write_all(bytes).await,
            None => Err(io::ErrorKind::BrokenPipe.into()),
        }
    }

    /// Closes this end; the shim's end is closed by `CloseIO`.
    pub async fn close(&self) {
        self.pipe.lock().await.take();
    }
}

/// Makes a fifo that only root opens; one that is there already stays.
///
/// # Errors
/// As mknod(2).
pub fn make_fifo(path: &Path) -> io::Result<()> {
    use rustix::fs::{CWD, FileType, Mode, mknodat};
    match mknodat(CWD, path, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0) {
        Ok(()) | Err(rustix::io::Errno::EXIST) => Ok(()),
        Err(cause) => Err(cause.into()),
    }
}

/// What the shim is told about output: our logger, its driver and files, and where readers join.
pub struct LogTarget<'a> {
    pub program: &'a Path,
    pub driver: &'a str,
    pub log_path: &'a Path,
    pub attach_path: &'a Path,
    pub options: Vec<(&'a str, &'a str)>,
    pub is_terminal: bool,
}

impl LogTarget<'_> {
    /// containerd's logging URI.
    pub fn uri(&self) -> String {
        let text = |path: &Path| path.to_string_lossy().into_owned();
        let mut uri = format!("binary://{}?driver={}", text(self.program), encode(self.driver));
        if self.driver != "none" {
            uri.push_str(&format!("&path={}", encode(&text(self.log_path))));
        }
        uri.push_str(&format!("&attach={}", encode(&text(self.attach_path))));
        for (key, value) in &self.options {
            uri.push_str(&format!("&{}={}", encode(key), encode(value)));
        }
        if self.is_terminal {
            uri.push_str("&terminal=1");
        }
        uri
    }
}

/// Percent-encodes what has a meaning in a query.
pub fn encode(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_uri_names_logger_log_and_socket() {
        let target = LogTarget {
            program: Path::new("/opt/wherry-logger"),
            driver: "json-file",
            log_path: Path::new("/d/a b.log"),
            attach_path: Path::new("/r/x.sock"),
            options: vec![("max-size", "10&m")],
            is_terminal: true,
        };
        assert_eq!(
            target.uri(),
            "binary:///opt/wherry-logger?driver=json-file&path=/d/a%20b.log&attach=/r/x.sock&max-size=10%26m&terminal=1"
        );
    }

    #[tokio::test]
    async fn input_waits_in_the_fifo_for_its_reader() {
        let directory = tempfile::tempdir().unwrap();
        let stdin = Stdin::open(&directory.path().join("in")).unwrap();
        stdin.write(b"hello").await.unwrap();
        let mut reader = pipe::OpenOptions::new().open_receiver(stdin.path()).unwrap();
        let mut buffer = [0; 5];
        reader.read_exact(&mut buffer).await.unwrap();
        assert_eq!(&buffer, b"hello");
        stdin.close().await;
        assert_eq!(reader.read(&mut buffer).await.unwrap(), 0);
        assert!(stdin.write(b"x").await.is_err());
    }

    #[tokio::test]
    async fn frames_are_taken_apart() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("attach");
        let listener = tokio::net::UnixListener::bind(&path).unwrap();
        let served = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            stream.write_all(&[0; HEADER_BYTES]).await.unwrap();
            stream.write_all(&frame(2, b"oops")).await.unwrap();
        });
        let mut output = Output::join(&path).await.unwrap();
        let piece = output.next().await.unwrap().unwrap();
        assert_eq!((piece.stream, &piece.payload()[..]), (2, &b"oops"[..]));
        assert!(output.next().await.unwrap().is_none());
        served.await.unwrap();
    }
}
