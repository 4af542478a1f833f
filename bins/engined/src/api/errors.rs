//! Failures as HTTP statuses with Docker's body.

use engine_api::error::ErrorBody;
use errdefs::{Error, Kind};
use http::{HeaderValue, Response, StatusCode, header};

use super::body::Body;

/// The status of a kind of failure.
pub fn status(kind: Kind) -> StatusCode {
    match kind {
        Kind::InvalidArgument | Kind::OutOfRange => StatusCode::BAD_REQUEST,
        Kind::NotFound => StatusCode::NOT_FOUND,
        Kind::AlreadyExists | Kind::FailedPrecondition | Kind::Aborted => StatusCode::CONFLICT,
        Kind::PermissionDenied => StatusCode::FORBIDDEN,
        Kind::Unauthenticated => StatusCode::UNAUTHORIZED,
        Kind::Unimplemented => StatusCode::NOT_IMPLEMENTED,
        Kind::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        Kind::ResourceExhausted
        | Kind::Canceled
        | Kind::DeadlineExceeded
        | Kind::DataLoss
        | Kind::Internal
        | Kind::Unknown => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

/// The answer to a call that failed.
pub fn answer(error: &Error) -> Response<Body> {
    let mut message = error.chain();
    if let Some(hint) = error.hint() {
        message.push_str(". ");
        message.push_str(hint);
    }
    told(status(error.kind()), message)
}

/// The answer to a client that asks too often.
pub fn too_often() -> Response<Body> {
    let message = "too many requests: ask less often, or raise --request-rate".to_owned();
    let mut answer = told(StatusCode::TOO_MANY_REQUESTS, message);
    answer.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
    answer
}

fn told(status: StatusCode, message: String) -> Response<Body> {
    let json = serde_json::to_vec(&ErrorBody { message }).unwrap_or_default();
    let mut answer = Response::new(Body::from(json));
    *answer.status_mut() = status;
    answer.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    answer
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_are_dockers_statuses() {
        for (kind, code) in [
            (Kind::InvalidArgument, 400),
            (Kind::NotFound, 404),
            (Kind::AlreadyExists, 409),
            (Kind::FailedPrecondition, 409),
            (Kind::Unimplemented, 501),
            (Kind::Internal, 500),
        ] {
            assert_eq!(status(kind).as_u16(), code);
        }
    }
}
