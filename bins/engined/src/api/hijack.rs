//! Taking a connection over from HTTP: from then on it carries raw bytes.
//!
//! hyper can hand a connection over only with `101 Switching Protocols`; Docker also answers `200`
//! and then speaks raw. So the connection's own loop is asked to give the socket up, and the head
//! of the answer is written here.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::sync::oneshot;

use super::socket::Socket;

/// What takes the socket over.
pub type Successor = Box<dyn FnOnce(Stream) -> Pin<Box<dyn Future<Output = ()> + Send>> + Send>;

/// The way for one request to get its connection.
#[derive(Clone, Default)]
pub struct TakeOver(Arc<Mutex<Option<oneshot::Sender<Successor>>>>);

impl TakeOver {
    /// A way, and the connection loop's end of it.
    pub fn new() -> (TakeOver, oneshot::Receiver<Successor>) {
        let (send, receive) = oneshot::channel();
        (TakeOver(Arc::new(Mutex::new(Some(send)))), receive)
    }

    /// Gives the connection to `successor`, after the head of an answer: `101` where the client
    /// asked for an upgrade, else `200`. Never returns: the request ends with the connection.
    pub async fn take<F, W>(&self, is_upgrade: bool, is_raw: bool, successor: F) -> !
    where
        F: FnOnce(Stream) -> W + Send + 'static,
        W: Future<Output = ()> + Send + 'static,
    {
        let kind = if is_raw { "raw" } else { "multiplexed" };
        let (status, more) = match is_upgrade {
            true => ("101 UPGRADED", "Connection: Upgrade\r\nUpgrade: tcp\r\n"),
            false => ("200 OK", ""),
        };
        let mut head =
            format!("HTTP/1.1 {status}\r\nContent-Type: application/vnd.docker.{kind}-stream\r\n{more}");
        for (name, value) in super::versions::headers() {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        head.push_str("\r\n");
        self.take_after(head, successor).await
    }

    /// As [`TakeOver::take`], after a head of the caller's.
    pub async fn take_after<F, W>(&self, head: String, successor: F) -> !
    where
        F: FnOnce(Stream) -> W + Send + 'static,
        W: Future<Output = ()> + Send + 'static,
    {
        let whole: Successor = Box::new(move |mut stream: Stream| {
            Box::pin(async move {
                if stream.write_all(head.as_bytes()).await.is_ok() {
                    successor(stream).await;
                }
            })
        });
        if let Some(send) = self.0.lock().expect("no panic while held").take() {
            // The loop that receives it is the one that polls this very request.
            let _ = send.send(whole);
        }
        std::future::pending().await
    }
}

/// A connection that has been taken over, with what the client had already sent.
pub struct Stream {
    socket: Socket,
    early: Bytes,
}

impl Stream {
    pub fn new(socket: impl Into<Socket>, early: Bytes) -> Stream {
        Stream { socket: socket.into(), early }
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.early.is_empty() {
            return Pin::new(&mut self.socket).poll_read(context, buffer);
        }
        let length = self.early.len().min(buffer.remaining());
        buffer.put_slice(&self.early.split_to(length));
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.socket).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_shutdown(context)
    }
}
