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
    /// It is too long, no such JSON, or of another type.
    pub async fn json<T: DeserializeOwned + Default>(&mut self) -> Result<T> {
        Ok(self.optional_json().await?.unwrap_or_default())
    }

    /// The JSON body; `None` when there is none.
    ///
    /// # Errors
    /// As [`Call::json`].
    pub async fn optional_json<T: DeserializeOwned>(&mut self) -> Result<Option<T>> {
        let bytes = self.whole_body().await?;
        if bytes.iter().all(u8::is_ascii_whitespace) {
            return Ok(None);
        }
        media_type(&self.headers)?;
        read_json(&bytes)
    }

    /// The JSON body of whatever type, as clients send what they have read before.
    ///
    /// # Errors
    /// It is too long, or no such JSON.
    pub async fn untyped_json<T: DeserializeOwned + Default>(&mut self) -> Result<T> {
        let bytes = self.whole_body().await?;
        if bytes.iter().all(u8::is_ascii_whitespace) {
            return Ok(T::default());
        }
        Ok(read_json(&bytes)?.unwrap_or_default())
    }

    async fn whole_body(&mut self) -> Result<Bytes> {
        let whole = http_body_util::Limited::new(&mut self.body, JSON_LIMIT_BYTES).collect().await;
        whole
            .map(http_body_util::Collected::to_bytes)
            .map_err(|cause| Error::invalid_argument(format!("cannot read the request: {cause}")))
    }

    /// Whether the client announced a body of more than `{}` and the like.
    pub fn has_body(&self) -> bool {
        /// The shortest object that says something.
        const LEAST_BYTES: u64 = 7;
        let length =
            self.headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse().ok());
        length.is_some_and(|length: u64| length > LEAST_BYTES)
            || self.headers.contains_key(header::TRANSFER_ENCODING)
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

/// `null` is nothing; what follows the value is a fault.
fn read_json<T: DeserializeOwned>(bytes: &[u8]) -> Result<Option<T>> {
    let mut values = serde_json::Deserializer::from_slice(bytes).into_iter::<Option<T>>();
    let read = values
        .next()
        .unwrap_or(Ok(None))
        .map_err(|cause| Error::invalid_argument(format!("invalid JSON: {cause}")))?;
    let rest = bytes.get(values.byte_offset()..).unwrap_or_default();
    if rest.iter().all(u8::is_ascii_whitespace) {
        Ok(read)
    } else {
        Err(Error::invalid_argument("unexpected content after JSON"))
    }
}

/// A page of another site can make a browser send a form, but not this type.
fn media_type(headers: &HeaderMap) -> Result<()> {
    let text = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let kind = text.split(';').next().unwrap_or_default().trim();
    if kind.eq_ignore_ascii_case("application/json") {
        return Ok(());
    }
    Err(Error::invalid_argument(if kind.is_empty() {
        "malformed Content-Type header (): must be 'application/json'".to_owned()
    } else {
        format!("unsupported Content-Type header ({kind}): must be 'application/json'")
    }))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_value_is_read() {
        assert_eq!(read_json::<u8>(b" 7 ").unwrap(), Some(7));
        assert_eq!(read_json::<u8>(b"null").unwrap(), None);
        let text = |bytes| read_json::<u8>(bytes).unwrap_err().to_string();
        assert_eq!(text(b"7 8"), "unexpected content after JSON");
        assert!(text(b"x").starts_with("invalid JSON: "));
    }

    #[test]
    fn only_json_is_json() {
        let typed = |kind: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::CONTENT_TYPE, kind.parse().unwrap());
            media_type(&headers)
        };
        assert!(typed("application/json").is_ok() && typed("Application/JSON; charset=utf-8").is_ok());
        for other in ["text/plain", "application/x-www-form-urlencoded", ""] {
            assert!(typed(other).is_err(), "{other}");
        }
        assert!(media_type(&HeaderMap::new()).is_err());
    }
}
