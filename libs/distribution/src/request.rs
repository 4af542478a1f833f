//! A request that can be made again.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{HeaderMap, Method};
use http_body_util::{BodyExt, Empty, Full, combinators::UnsyncBoxBody};

use crate::push::BlobSource;

/// The body of a request on its way.
pub type Body = UnsyncBoxBody<Bytes, std::io::Error>;

/// A body whose pieces come over a channel; it ends when the channel does.
pub fn body_of(pieces: tokio::sync::mpsc::Receiver<std::io::Result<Bytes>>) -> Body {
    Pieces(pieces).boxed_unsync()
}

struct Pieces(tokio::sync::mpsc::Receiver<std::io::Result<Bytes>>);

impl hyper::body::Body for Pieces {
    type Data = Bytes;
    type Error = std::io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<std::io::Result<hyper::body::Frame<Bytes>>>> {
        self.0.poll_recv(context).map(|piece| piece.map(|piece| piece.map(hyper::body::Frame::data)))
    }
}

/// Makes a body anew for each try.
#[derive(Clone)]
pub(crate) enum Payload {
    Empty,
    Bytes(Bytes),
    Stream { from: u64, length: u64, make: BlobSource },
}

impl Payload {
    pub(crate) fn body(&self) -> Body {
        match self {
            Payload::Empty => Empty::new().map_err(|never| match never {}).boxed_unsync(),
            Payload::Bytes(bytes) => Full::new(bytes.clone()).map_err(|never| match never {}).boxed_unsync(),
            Payload::Stream { from, length, make } => make(*from, *length),
        }
    }

    pub(crate) fn length(&self) -> u64 {
        match self {
            Payload::Empty => 0,
            Payload::Bytes(bytes) => bytes.len() as u64,
            Payload::Stream { length, .. } => *length,
        }
    }
}

/// What is asked of a host.
#[derive(Clone)]
pub(crate) struct Ask {
    pub method: Method,
    /// From the root of the host, query included, or a whole URL.
    pub path: String,
    pub headers: HeaderMap,
    pub payload: Payload,
    /// Token scopes that it needs.
    pub scopes: Vec<String>,
}

impl Ask {
    pub(crate) fn new(method: Method, path: impl Into<String>, scope: &str) -> Ask {
        Ask {
            method,
            path: path.into(),
            headers: HeaderMap::new(),
            payload: Payload::Empty,
            scopes: vec![scope.to_owned()],
        }
    }
}
