//! One request on a connection of its own, as raw as HTTP is.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

/// How long a stream that goes on for ever is listened to.
const PATIENCE: Duration = Duration::from_millis(250);
/// Longest time until an answer begins.
const LIMIT: Duration = Duration::from_secs(30);

/// An answer, as far as it came.
pub struct Answer {
    pub status: u16,
    pub head: String,
    pub body: Vec<u8>,
    /// The server ended it.
    pub is_whole: bool,
}

/// Asks once.
///
/// # Panics
/// The engine does not accept, or does not begin to answer.
pub fn ask(socket: &str, method: &str, path: &str, body: Option<&[u8]>) -> Answer {
    let mut stream = UnixStream::connect(socket).expect("the engine accepts");
    stream.set_read_timeout(Some(LIMIT)).unwrap();
    let mut request = format!("{method} {path} HTTP/1.1\r\nHost: d\r\nConnection: close\r\n").into_bytes();
    if let Some(body) = body {
        let kind = if body.first() == Some(&b'{') { "application/json" } else { "application/x-tar" };
        request.extend_from_slice(
            format!("Content-Type: {kind}\r\nContent-Length: {}\r\n", body.len()).as_bytes(),
        );
    }
    request.extend_from_slice(b"\r\n");
    request.extend_from_slice(body.unwrap_or_default());
    stream.write_all(&request).expect("the engine reads");
    let mut bytes = Vec::new();
    let mut chunk = [0; 16 << 10];
    let mut is_whole = false;
    let mut began = None;
    loop {
        match stream.read(&mut chunk) {
            Ok(0) => {
                is_whole = true;
                break;
            }
            Ok(length) => bytes.extend_from_slice(&chunk[..length]),
            Err(_) if began.is_some() => break,
            Err(error) => panic!("{method} {path}: no answer: {error}"),
        }
        let since = *began.get_or_insert_with(Instant::now);
        if since.elapsed() > PATIENCE * 4 {
            break;
        }
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
    }
    let end = bytes.windows(4).position(|four| four == b"\r\n\r\n");
    let end = end.unwrap_or_else(|| panic!("{method} {path}: no head: {}", String::from_utf8_lossy(&bytes)));
    let head = String::from_utf8_lossy(&bytes[..end]).to_lowercase();
    let status = head.split(' ').nth(1).and_then(|word| word.parse().ok()).expect("a status");
    let rest = &bytes[end + 4..];
    let body = if head.contains("transfer-encoding: chunked") { unchunked(rest) } else { rest.to_vec() };
    Answer { status, head, body, is_whole }
}

fn unchunked(mut rest: &[u8]) -> Vec<u8> {
    let mut whole = Vec::new();
    while let Some(line) = rest.windows(2).position(|two| two == b"\r\n") {
        let Ok(length) = usize::from_str_radix(&String::from_utf8_lossy(&rest[..line]), 16) else { break };
        let Some(piece) = rest.get(line + 2..line + 2 + length) else { break };
        whole.extend_from_slice(piece);
        rest = rest.get(line + length + 4..).unwrap_or_default();
    }
    whole
}
