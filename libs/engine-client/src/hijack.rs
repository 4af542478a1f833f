//! The connection itself, after `101 UPGRADED`.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::{Buf, Bytes};
use hyper::upgrade::{Parts, Upgraded};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, ReadBuf};

use crate::connection::Stream;
use crate::error::Error;
use crate::response::Response;

/// Both directions of a taken-over connection.
pub struct Hijacked {
    pub read: ReadHalf,
    pub write: WriteHalf,
    /// Frames with 8-byte headers follow (as opposed to a terminal's raw bytes), if the engine says.
    pub multiplexed: Option<bool>,
}

/// The container's input; shutting it down is the end of stdin.
pub type WriteHalf = tokio::io::WriteHalf<Stream>;

/// The container's output.
pub struct ReadHalf {
    early: Bytes,
    stream: tokio::io::ReadHalf<Stream>,
}

impl Hijacked {
    pub(crate) async fn take(response: Response<'_>) -> Result<Self, Error> {
        let status = response.status();
        if status != 101 {
            return Err(Error::NoUpgrade { status });
        }
        let multiplexed = match response.header("content-type") {
            Some("application/vnd.docker.multiplexed-stream") => Some(true),
            // Engines before API 1.42 say raw for both.
            _ => None,
        };
        let upgraded: Upgraded = hyper::upgrade::on(response.answer).await?;
        let Ok(Parts { io, read_buf, .. }) = upgraded.downcast::<TokioIo<Stream>>() else {
            return Err(Error::NoUpgrade { status });
        };
        let (stream, write) = tokio::io::split(io.into_inner());
        Ok(Self { read: ReadHalf { early: read_buf, stream }, write, multiplexed })
    }
}

impl AsyncRead for ReadHalf {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.early.has_remaining() {
            let count = this.early.len().min(buffer.remaining());
            buffer.put_slice(&this.early.split_to(count));
            return Poll::Ready(Ok(()));
        }
        Pin::new(&mut this.stream).poll_read(cx, buffer)
    }
}
