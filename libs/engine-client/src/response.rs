//! An answer: whole, in chunks, or as a stream of JSON objects.

use std::collections::VecDeque;

use bytes::{Bytes, BytesMut};
use engine_api::error::ErrorBody;
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::client::conn::http1::SendRequest;
use serde::de::DeserializeOwned;

use crate::client::{Body, Client};
use crate::error::Error;

/// An answer whose body is not read yet.
pub struct Response<'a> {
    pub(crate) answer: hyper::Response<Incoming>,
    client: &'a Client,
    sender: Option<SendRequest<Body>>,
}

impl<'a> Response<'a> {
    pub(crate) fn new(
        answer: hyper::Response<Incoming>,
        client: &'a Client,
        sender: SendRequest<Body>,
    ) -> Self {
        Self { answer, client, sender: Some(sender) }
    }

    pub fn status(&self) -> u16 {
        self.answer.status().as_u16()
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.answer.headers().get(name)?.to_str().ok()
    }

    pub(crate) async fn checked(self) -> Result<Self, Error> {
        let status = self.status();
        if status < 400 {
            return Ok(self);
        }
        let reason = self.answer.status().canonical_reason().unwrap_or_default();
        let body = self.bytes().await?;
        let message = match serde_json::from_slice::<ErrorBody>(&body) {
            Ok(error) if !error.message.is_empty() => error.message,
            _ if body.is_empty() => format!("request returned {reason} ({status})"),
            _ => String::from_utf8_lossy(&body).trim().to_owned(),
        };
        Err(Error::Daemon { status, message: message.trim().to_owned() })
    }

    /// The next piece of the body; `None` at its end.
    ///
    /// # Errors
    /// The connection broke.
    pub async fn chunk(&mut self) -> Result<Option<Bytes>, Error> {
        while let Some(frame) = self.answer.body_mut().frame().await {
            if let Ok(data) = frame?.into_data() {
                return Ok(Some(data));
            }
        }
        if let Some(sender) = self.sender.take() {
            self.client.keep(sender);
        }
        Ok(None)
    }

    /// The whole body.
    ///
    /// # Errors
    /// The connection broke.
    pub async fn bytes(mut self) -> Result<Bytes, Error> {
        let mut all = BytesMut::new();
        while let Some(chunk) = self.chunk().await? {
            all.extend_from_slice(&chunk);
        }
        Ok(all.freeze())
    }

    /// The whole body as JSON.
    ///
    /// # Errors
    /// The connection broke or the body is no `T`.
    pub async fn json<T: DeserializeOwned>(self) -> Result<T, Error> {
        Ok(serde_json::from_slice(&self.bytes().await?)?)
    }

    /// Reads the body away, so that the connection can serve the next call.
    ///
    /// # Errors
    /// The connection broke.
    pub async fn drain(mut self) -> Result<(), Error> {
        while self.chunk().await?.is_some() {}
        Ok(())
    }
}

/// A body of JSON objects, one after the other.
pub struct JsonLines<'a> {
    response: Response<'a>,
    buffer: Vec<u8>,
    ready: VecDeque<Box<serde_json::value::RawValue>>,
}

impl<'a> JsonLines<'a> {
    pub(crate) fn new(response: Response<'a>) -> Self {
        Self { response, buffer: Vec::new(), ready: VecDeque::new() }
    }

    /// The next object; `None` at the end of the stream.
    ///
    /// # Errors
    /// The connection broke or an object is no `T`.
    pub async fn next<T: DeserializeOwned>(&mut self) -> Result<Option<T>, Error> {
        match self.next_raw().await? {
            Some(raw) => Ok(Some(serde_json::from_str(raw.get())?)),
            None => Ok(None),
        }
    }

    /// The next object as it came.
    ///
    /// # Errors
    /// The connection broke or the bytes are not JSON.
    pub async fn next_raw(&mut self) -> Result<Option<Box<serde_json::value::RawValue>>, Error> {
        loop {
            if let Some(raw) = self.ready.pop_front() {
                return Ok(Some(raw));
            }
            let Some(chunk) = self.response.chunk().await? else {
                return self.rest();
            };
            self.buffer.extend_from_slice(&chunk);
            self.split()?;
        }
    }

    fn split(&mut self) -> Result<(), Error> {
        let mut objects = serde_json::Deserializer::from_slice(&self.buffer).into_iter();
        let mut used = 0;
        loop {
            match objects.next() {
                Some(Ok(raw)) => {
                    used = objects.byte_offset();
                    self.ready.push_back(raw);
                }
                Some(Err(error)) if error.is_eof() => break,
                Some(Err(error)) => return Err(error.into()),
                None => {
                    used = self.buffer.len();
                    break;
                }
            }
        }
        self.buffer.drain(..used);
        Ok(())
    }

    fn rest(&mut self) -> Result<Option<Box<serde_json::value::RawValue>>, Error> {
        let rest = std::mem::take(&mut self.buffer);
        if rest.iter().all(u8::is_ascii_whitespace) {
            return Ok(None);
        }
        Ok(Some(serde_json::from_slice(&rest)?))
    }
}
