//! A request in the making.

use std::io;

use bytes::Bytes;
use futures_util::stream;
use http_body_util::{BodyExt, Empty, Full, StreamBody};
use hyper::Method;
use hyper::body::Frame;
use hyper::header::{CONNECTION, CONTENT_TYPE, HOST, UPGRADE};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::io::{AsyncRead, AsyncReadExt};

use crate::client::{Body, Client};
use crate::error::Error;
use crate::hijack::Hijacked;
use crate::response::{JsonLines, Response};

/// Bytes read at once from a body's source.
const BODY_CHUNK: usize = 256 * 1024;

/// Method, path, query, headers and body of one call.
pub struct Request<'a> {
    client: &'a Client,
    method: Method,
    path: String,
    query: String,
    headers: Vec<(String, String)>,
    body: Body,
    versioned: bool,
}

fn empty() -> Body {
    Empty::new().map_err(|never| match never {}).boxed_unsync()
}

impl<'a> Request<'a> {
    pub(crate) fn new(client: &'a Client, method: Method, path: &str) -> Self {
        Self {
            client,
            method,
            path: escape_path(path),
            query: String::new(),
            headers: Vec::new(),
            body: empty(),
            versioned: true,
        }
    }

    pub(crate) fn unversioned(client: &'a Client, method: Method, path: &str) -> Self {
        Self { versioned: false, ..Self::new(client, method, path) }
    }

    /// Adds `name=value` to the query.
    #[must_use]
    pub fn query(mut self, name: &str, value: impl AsRef<str>) -> Self {
        self.query.push(if self.query.is_empty() { '?' } else { '&' });
        escape_into(&mut self.query, name);
        self.query.push('=');
        escape_into(&mut self.query, value.as_ref());
        self
    }

    /// As [`Self::query`], only with a value that is not empty.
    #[must_use]
    pub fn query_some(self, name: &str, value: impl AsRef<str>) -> Self {
        if value.as_ref().is_empty() { self } else { self.query(name, value) }
    }

    /// Adds `name=1` when set.
    #[must_use]
    pub fn query_flag(self, name: &str, set: bool) -> Self {
        if set { self.query(name, "1") } else { self }
    }

    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Sends `value` as JSON.
    ///
    /// # Errors
    /// `value` cannot be written as JSON.
    pub fn json<T: Serialize + ?Sized>(mut self, value: &T) -> Result<Self, Error> {
        let bytes = Bytes::from(serde_json::to_vec(value)?);
        self.body = Full::new(bytes).map_err(|never| match never {}).boxed_unsync();
        Ok(self.header(CONTENT_TYPE.as_str(), "application/json"))
    }

    /// Sends all that `source` gives, chunked.
    #[must_use]
    pub fn body(mut self, content_type: &str, source: impl AsyncRead + Send + Unpin + 'static) -> Self {
        let frames = stream::try_unfold(source, |mut source| async move {
            let mut chunk = Vec::with_capacity(BODY_CHUNK);
            let count = source.read_buf(&mut chunk).await?;
            Ok::<_, io::Error>((count > 0).then(|| (Frame::data(Bytes::from(chunk)), source)))
        });
        self.body = StreamBody::new(frames).boxed_unsync();
        self.header(CONTENT_TYPE.as_str(), content_type)
    }

    /// Sends the request; an error status is an error.
    ///
    /// # Errors
    /// The engine cannot be reached or refuses.
    pub async fn send(self) -> Result<Response<'a>, Error> {
        self.send_raw().await?.checked().await
    }

    /// Sends and reads the answer as JSON.
    ///
    /// # Errors
    /// As [`Self::send`], or the answer is no `T`.
    pub async fn fetch<T: DeserializeOwned>(self) -> Result<T, Error> {
        self.send().await?.json().await
    }

    /// Sends and reads the answer whole.
    ///
    /// # Errors
    /// As [`Self::send`].
    pub async fn fetch_bytes(self) -> Result<Bytes, Error> {
        self.send().await?.bytes().await
    }

    /// Sends and drops the answer's body.
    ///
    /// # Errors
    /// As [`Self::send`].
    pub async fn done(self) -> Result<(), Error> {
        self.send().await?.drain().await
    }

    /// Sends and reads the answer as JSON objects, one after the other.
    ///
    /// # Errors
    /// As [`Self::send`].
    pub async fn json_lines(self) -> Result<JsonLines<'a>, Error> {
        Ok(JsonLines::new(self.send().await?))
    }

    /// Asks for the connection itself (attach, exec).
    ///
    /// # Errors
    /// The engine refuses or answers without giving up the connection.
    pub async fn hijack(self) -> Result<Hijacked, Error> {
        let response =
            self.header(CONNECTION.as_str(), "Upgrade").header(UPGRADE.as_str(), "tcp").send().await?;
        Hijacked::take(response).await
    }

    /// Sends; any status is an answer.
    pub(crate) async fn send_raw(self) -> Result<Response<'a>, Error> {
        check_name(&self.path)?;
        let prefix =
            if self.versioned { format!("/v{}", self.client.version().await?) } else { String::new() };
        let uri = format!("{prefix}{}{}", self.path, self.query);
        let mut builder = hyper::Request::builder()
            .method(self.method)
            .uri(uri)
            .header(HOST, "api.moby.localhost")
            .header("User-Agent", concat!("Wherry-Client/", env!("CARGO_PKG_VERSION"), " (linux)"));
        for (name, value) in self.client.headers().iter().chain(&self.headers) {
            builder = builder.header(name, value);
        }
        let request = builder.body(self.body).map_err(|error| Error::Io(io::Error::other(error)))?;
        let mut sender = self.client.sender().await?;
        let answer = sender.send_request(request).await?;
        Ok(Response::new(answer, self.client, sender))
    }
}

/// Refuses an empty name, which would make another path of the request's.
fn check_name(path: &str) -> Result<(), Error> {
    const KINDS: &[(&str, &str)] = &[
        ("/containers/", "container"),
        ("/networks/", "network"),
        ("/volumes/", "volume"),
        ("/images/", "image"),
    ];
    let after =
        |prefix: &str| path.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    match KINDS.iter().find(|(prefix, _)| after(prefix)) {
        Some((_, kind)) => Err(Error::EmptyName { kind }),
        None => Ok(()),
    }
}

/// Percent-encodes what a path cannot hold; names in it are the person's.
fn escape_path(path: &str) -> String {
    let mut out = String::with_capacity(path.len());
    for byte in path.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.~/:@!$&'()*+,;=".contains(&byte) {
            out.push(byte as char);
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

/// Percent-encodes one part of a query.
fn escape_into(out: &mut String, text: &str) {
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) {
            out.push(byte as char);
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
}
