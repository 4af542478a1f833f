//! One request, taken apart for its handler, and the forms of answers.

use std::sync::Arc;

use bytes::Bytes;
use engine_api::auth::AuthConfig;
use errdefs::{Error, Result};
use http::{HeaderMap, HeaderValue, Response, StatusCode, header};
use http_body_util::BodyExt;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::sync::mpsc;

use super::body::{Body, RequestBody};
use super::hijack::TakeOver;
use super::query::Query;
use super::versions::Version;
use crate::containers::Container;
use crate::engine::Engine;
use crate::filters::Filters;

/// Requests of JSON are never larger.
const JSON_LIMIT_BYTES: usize = 8 << 20;

/// A handler's answer.
pub type Answer = Result<Response<Body>>;

/// One request.
pub struct Call {
    pub engine: Arc<Engine>,
    pub version: Version,
    /// What stood in the route's braces, in order.
    pub words: Vec<String>,
    pub query: Query,
    pub headers: HeaderMap,
    pub body: RequestBody,
    pub take_over: TakeOver,
}

impl Call {
    /// The first word of the path.
    pub fn name(&self) -> &str {
        self.words.first().map_or("", String::as_str)
    }

    /// The container that the path names.
    ///
    /// # Errors
    /// No container is meant.
    pub fn container(&self) -> Result<Arc<Container>> {
        self.engine.containers.find(self.name())
    }

    /// The `filters` parameter.
    ///
    /// # Errors
    /// It is malformed.
    pub fn filters(&self, known: &[&str]) -> Result<Filters> {
        Filters::parse(self.query.text("filters"), known)
    }

    /// The JSON body; an absent one is the default.
    ///
    /// # Errors
    /// It is too long, or no such JSON.
    pub async fn json<T: DeserializeOwned + Default>(&mut self) -> Result<T> {
        let bytes = http_body_util::Limited::new(&mut self.body, JSON_LIMIT_BYTES)
            .collect()
            .await
            .map_err(|cause| Error::invalid_argument(format!("cannot read the request: {cause}")))?
            .to_bytes();
        if bytes.iter().all(u8::is_ascii_whitespace) {
            return Ok(T::default());
        }
        serde_json::from_slice::<Option<T>>(&bytes)
            .map(Option::unwrap_or_default)
            .map_err(|cause| Error::invalid_argument(format!("invalid JSON: {cause}")))
    }

    /// The body piece by piece; it ends early when the client does.
    pub fn pieces(self) -> mpsc::Receiver<Bytes> {
        let (send, receive) = mpsc::channel(16);
        let mut body = self.body;
        tokio::spawn(async move {
            while let Some(Ok(frame)) = body.frame().await {
                if let Ok(data) = frame.into_data()
                    && send.send(data).await.is_err()
                {
                    return;
                }
            }
        });
        receive
    }

    /// The client asked for the connection itself.
    pub fn is_upgrade(&self) -> bool {
        self.headers.get(header::UPGRADE).is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"tcp"))
    }

    /// `X-Registry-Auth`; none is empty.
    ///
    /// # Errors
    /// It is malformed.
    pub fn auth(&self) -> Result<AuthConfig> {
        use base64::Engine as _;
        use base64::alphabet::URL_SAFE;
        use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
        let lenient = GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
        let text = self.headers.get("x-registry-auth").map(HeaderValue::as_bytes).unwrap_or_default();
        if text.is_empty() {
            return Ok(AuthConfig::default());
        }
        let bad = || Error::invalid_argument("invalid X-Registry-Auth header");
        let json = GeneralPurpose::new(&URL_SAFE, lenient)
            .decode(text)
            .or_else(|_| GeneralPurpose::new(&base64::alphabet::STANDARD, lenient).decode(text))
            .map_err(|_| bad())?;
        if json.is_empty() || json == b"{}" || json == b"null" {
            return Ok(AuthConfig::default());
        }
        let auth: AuthConfig = serde_json::from_slice(&json).map_err(|_| bad())?;
        // A server address alone is no credential.
        let has_none =
            auth.username.is_empty() && auth.identity_token.is_empty() && auth.registry_token.is_empty();
        Ok(if has_none { AuthConfig::default() } else { auth })
    }
}

/// `200` with JSON.
pub fn json(value: &impl Serialize) -> Answer {
    json_with(StatusCode::OK, value)
}

/// JSON under another status.
pub fn json_with(status: StatusCode, value: &impl Serialize) -> Answer {
    let mut bytes = serde_json::to_vec(value)
        .map_err(|cause| Error::internal("cannot encode the answer").with_source(cause))?;
    bytes.push(b'\n');
    let mut answer = Response::new(Body::from(bytes));
    *answer.status_mut() = status;
    answer.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    Ok(answer)
}

/// A status without a body.
pub fn empty(status: StatusCode) -> Answer {
    let mut answer = Response::new(Body::empty());
    *answer.status_mut() = status;
    Ok(answer)
}

/// `200` with pieces of a kind.
pub fn pieces(kind: &'static str, pieces: mpsc::Receiver<std::io::Result<Bytes>>) -> Answer {
    let mut answer = Response::new(Body::Pieces(pieces));
    answer.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    Ok(answer)
}
