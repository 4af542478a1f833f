//! Bodies: of answers, whole or coming piece by piece; of requests, with what was read of them.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::body::{Body as _, Frame, Incoming, SizeHint};
use tokio::runtime::Handle;
use tokio::sync::mpsc;

/// A body.
pub enum Body {
    Whole(Option<Bytes>),
    Pieces(mpsc::Receiver<io::Result<Bytes>>),
}

impl Body {
    /// Nothing.
    pub fn empty() -> Body {
        Body::Whole(None)
    }
}

impl From<Vec<u8>> for Body {
    fn from(bytes: Vec<u8>) -> Body {
        Body::Whole(Some(bytes.into()))
    }
}

impl hyper::body::Body for Body {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        match &mut *self {
            Body::Whole(bytes) => Poll::Ready(bytes.take().map(|bytes| Ok(Frame::data(bytes)))),
            Body::Pieces(pieces) => {
                pieces.poll_recv(context).map(|piece| piece.map(|piece| piece.map(Frame::data)))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        matches!(self, Body::Whole(None))
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Body::Whole(bytes) => SizeHint::with_exact(bytes.as_ref().map_or(0, |bytes| bytes.len() as u64)),
            Body::Pieces(_) => SizeHint::default(),
        }
    }
}

/// A request's body. What somebody has read of it may be put back.
pub struct RequestBody {
    first: Option<Bytes>,
    rest: Unread,
}

impl From<Incoming> for RequestBody {
    fn from(rest: Incoming) -> RequestBody {
        RequestBody { first: None, rest: Unread(Some(rest)) }
    }
}

impl RequestBody {
    /// The same, beginning with `first`.
    pub fn after(self, first: Bytes) -> RequestBody {
        RequestBody { first: Some(first).filter(|first| !first.is_empty()), rest: self.rest }
    }
}

impl hyper::body::Body for RequestBody {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<hyper::Result<Frame<Bytes>>>> {
        match self.first.take() {
            Some(first) => Poll::Ready(Some(Ok(Frame::data(first)))),
            None => match &mut self.rest.0 {
                Some(rest) => Pin::new(rest).poll_frame(context),
                None => Poll::Ready(None),
            },
        }
    }

    fn is_end_stream(&self) -> bool {
        self.first.is_none() && self.rest.0.as_ref().is_none_or(Incoming::is_end_stream)
    }
}

/// What nobody has read yet. A client that sends a body to its end before it looks at the answer would find the
/// connection broken if what the handler left, or refused, were not read: so it is, after the handler has gone.
struct Unread(Option<Incoming>);

/// How much is read for nobody. Whoever sends more finds the connection closed.
const LEFT_BYTES: u64 = 64 << 20;
/// How long it may take until the next piece comes.
const LEFT_PATIENCE: Duration = Duration::from_secs(10);

impl Drop for Unread {
    fn drop(&mut self) {
        let Some(mut body) = self.0.take().filter(|body| !body.is_end_stream()) else { return };
        let Ok(runtime) = Handle::try_current() else { return };
        runtime.spawn(async move {
            let mut left = LEFT_BYTES;
            while let Ok(Some(Ok(frame))) = tokio::time::timeout(LEFT_PATIENCE, body.frame()).await {
                left = left.saturating_sub(frame.data_ref().map_or(0, |data| data.len() as u64));
                if left == 0 {
                    return;
                }
            }
        });
    }
}
