//! WebSocket (RFC 6455), the server's side: as much as attaching needs.

use base64::Engine as _;
use errdefs::{Error, Result};
use http::HeaderMap;
use sha1::{Digest, Sha1};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;

use super::attach::Attached;
use crate::api::hijack::Stream;

const GUID: &str = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
/// No client types more at once.
const FRAME_LIMIT_BYTES: u64 = 1 << 20;
const BUFFER_BYTES: usize = 32 << 10;

const CONTINUATION: u8 = 0;
const TEXT: u8 = 1;
const BINARY: u8 = 2;
const CLOSE: u8 = 8;
const PING: u8 = 9;
const PONG: u8 = 10;

/// The head that accepts a client.
///
/// # Errors
/// The request is none for a WebSocket.
pub fn accept(headers: &HeaderMap) -> Result<String> {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let is_upgrade = text("upgrade").eq_ignore_ascii_case("websocket");
    let key = text("sec-websocket-key");
    if !is_upgrade || key.is_empty() || text("sec-websocket-version") != "13" {
        return Err(Error::invalid_argument("expected a WebSocket upgrade request, version 13"));
    }
    let digest = Sha1::digest(format!("{key}{GUID}").as_bytes());
    let answer = base64::engine::general_purpose::STANDARD.encode(digest);
    Ok(format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: {answer}\r\n\r\n"
    ))
}

/// Serves an attached client whose connection speaks frames: what the container writes goes out as it is, in one
/// stream.
pub async fn serve(client: Stream, attached: Attached) {
    let Ok((ours, theirs)) = UnixStream::pair() else { return };
    let (mut from_client, mut to_client) = tokio::io::split(client);
    let (mut from_container, mut to_container) = ours.into_split();
    let (pong, mut pings) = tokio::sync::mpsc::channel::<Vec<u8>>(4);
    let serving = attached.serve(Stream::new(theirs, bytes::Bytes::new()));
    let sending = async {
        let mut buffer = vec![0; BUFFER_BYTES];
        loop {
            let frame = tokio::select! {
                read = from_container.read(&mut buffer) => match read {
                    Ok(length) if length > 0 => frame(BINARY, &buffer[..length]),
                    _ => break,
                },
                Some(payload) = pings.recv() => frame(PONG, &payload),
            };
            if to_client.write_all(&frame).await.is_err() {
                return;
            }
        }
        // 1000: it ended as it should.
        let _ = to_client.write_all(&frame(CLOSE, &1000_u16.to_be_bytes())).await;
        let _ = to_client.shutdown().await;
    };
    let receiving = async {
        while let Ok(Some((kind, payload))) = read_frame(&mut from_client).await {
            match kind {
                CONTINUATION | TEXT | BINARY if to_container.write_all(&payload).await.is_err() => break,
                PING => drop(pong.send(payload).await),
                CLOSE => break,
                _ => {}
            }
        }
    };
    // Whoever goes first, the container or the client, the other is let go.
    tokio::select! {
        ((), ()) = async { tokio::join!(serving, sending) } => {}
        () = receiving => {}
    }
}

/// One unmasked frame.
fn frame(kind: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![0x80 | kind];
    match payload.len() {
        length @ 0..126 => frame.push(length as u8),
        length @ 126..65536 => {
            frame.push(126);
            frame.extend_from_slice(&(length as u16).to_be_bytes());
        }
        length => {
            frame.push(127);
            frame.extend_from_slice(&(length as u64).to_be_bytes());
        }
    }
    frame.extend_from_slice(payload);
    frame
}

/// The next frame of a client, unmasked; `None` at the end.
async fn read_frame(from: &mut (impl AsyncRead + Unpin)) -> std::io::Result<Option<(u8, Vec<u8>)>> {
    let broken = |text: &str| std::io::Error::new(std::io::ErrorKind::InvalidData, text.to_owned());
    let mut head = [0; 2];
    match from.read_exact(&mut head).await {
        Ok(_) => {}
        Err(end) if end.kind() == std::io::ErrorKind::UnexpectedEof => return Ok(None),
        Err(error) => return Err(error),
    }
    if head[1] & 0x80 == 0 {
        return Err(broken("a client's frames are masked"));
    }
    let length = match head[1] & 0x7f {
        126 => u64::from(from.read_u16().await?),
        127 => from.read_u64().await?,
        short => u64::from(short),
    };
    if length > FRAME_LIMIT_BYTES {
        return Err(broken("frame too long"));
    }
    let mut mask = [0; 4];
    from.read_exact(&mut mask).await?;
    let mut payload = vec![0; usize::try_from(length).unwrap_or(0)];
    from.read_exact(&mut payload).await?;
    payload.iter_mut().zip(mask.iter().cycle()).for_each(|(byte, mask)| *byte ^= mask);
    Ok(Some((head[0] & 0x0f, payload)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_key_is_answered_as_the_standard_says() {
        let mut headers = HeaderMap::new();
        assert!(accept(&headers).is_err());
        for (name, value) in [
            ("upgrade", "websocket"),
            ("sec-websocket-version", "13"),
            ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
        ] {
            headers.insert(name, value.parse().unwrap());
        }
        assert!(accept(&headers).unwrap().contains("Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"));
    }

    #[tokio::test]
    async fn masked_frames_are_read() {
        let mut bytes: &[u8] = &[0x81, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58];
        assert_eq!(read_frame(&mut bytes).await.unwrap(), Some((TEXT, b"Hello".to_vec())));
        assert_eq!(read_frame(&mut bytes).await.unwrap(), None);
        assert!(read_frame(&mut &[0x81, 0x05, 1, 2, 3, 4, 5][..]).await.is_err());
        assert_eq!(frame(BINARY, &[7; 300])[..4], [0x82, 126, 1, 44]);
    }

    proptest! {
        #[test]
        fn any_bytes_are_survived(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            let _ = runtime.block_on(read_frame(&mut &bytes[..]));
        }
    }
}
