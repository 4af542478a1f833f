//! Answers of registries.

use bytes::{Bytes, BytesMut};
use errdefs::{Error, Kind, Result};
use http::{HeaderMap, Response, StatusCode};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use serde::Deserialize;

/// Longest error body that is read.
const ERROR_LIMIT: u64 = 64 << 10;

#[derive(Deserialize)]
struct Errors {
    #[serde(default)]
    errors: Vec<Problem>,
    #[serde(default)]
    details: String,
}

#[derive(Deserialize)]
struct Problem {
    #[serde(default)]
    code: String,
    #[serde(default)]
    message: String,
}

/// The whole body, refused when longer than `limit` bytes.
pub(crate) async fn read_body(response: Response<Incoming>, limit: u64) -> Result<Bytes> {
    let mut body = response.into_body();
    let mut bytes = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let frame =
            frame.map_err(|cause| Error::new(Kind::Aborted, "cannot read answer").with_source(cause))?;
        if let Some(data) = frame.data_ref() {
            if bytes.len() as u64 + data.len() as u64 > limit {
                return Err(Error::new(
                    Kind::ResourceExhausted,
                    format!("answer is larger than {limit} bytes"),
                ));
            }
            bytes.extend_from_slice(data);
        }
    }
    Ok(bytes.freeze())
}

/// The error that an answer stands for, in the registry's words where it has some
/// (distribution-spec "Error Codes").
pub(crate) async fn error_of(what: &str, response: Response<Incoming>) -> Error {
    let status = response.status();
    let body = read_body(response, ERROR_LIMIT).await.unwrap_or_default();
    let told = match serde_json::from_slice::<Errors>(&body) {
        Ok(errors) if !errors.errors.is_empty() => errors
            .errors
            .iter()
            .map(|problem| match (problem.code.as_str(), problem.message.as_str()) {
                ("", message) => message.to_owned(),
                (code, "") => code.to_lowercase().replace('_', " "),
                (code, message) => format!("{}: {message}", code.to_lowercase().replace('_', " ")),
            })
            .collect::<Vec<_>>()
            .join(", "),
        Ok(errors) => errors.details,
        Err(_) => String::new(),
    };
    let mut text = format!("{what}: unexpected status: {status}");
    if !told.is_empty() {
        text = format!("{text}: {told}");
    }
    let error = Error::new(kind_of(status), text);
    match status {
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => error.with_hint("log in to the registry"),
        StatusCode::TOO_MANY_REQUESTS => error.with_hint("wait, or log in for a higher limit"),
        _ => error,
    }
}

fn kind_of(status: StatusCode) -> Kind {
    match status {
        StatusCode::NOT_FOUND => Kind::NotFound,
        StatusCode::UNAUTHORIZED => Kind::Unauthenticated,
        StatusCode::FORBIDDEN => Kind::PermissionDenied,
        StatusCode::TOO_MANY_REQUESTS => Kind::ResourceExhausted,
        StatusCode::RANGE_NOT_SATISFIABLE => Kind::OutOfRange,
        status if status.is_server_error() => Kind::Unavailable,
        StatusCode::BAD_REQUEST => Kind::InvalidArgument,
        _ => Kind::Unknown,
    }
}

/// A header as text; absent or unreadable is `None`.
pub(crate) fn header<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok()).filter(|value| !value.is_empty())
}
