//! A file from a URL that a person names: no credentials, no registry.

use bytes::Bytes;
use errdefs::{Error, Kind, Result};
use http::header::{ACCEPT, CONTENT_LENGTH, HOST, LOCATION, USER_AGENT};
use http::{Method, Request, Uri};
use http_body_util::BodyExt;
use hyper::body::Incoming;

use crate::repository::{AGENT, REDIRECT_LIMIT, follows, join_url, parse_url};
use crate::request::Payload;
use crate::response::{error_of, header};
use crate::transport::{Manner, Transport};

/// A file on its way.
pub struct Download {
    body: Incoming,
    /// Bytes that will come, where the host tells.
    pub length: Option<u64>,
}

/// Opens `url`, by way of redirects.
///
/// # Errors
/// It is no URL of a web server, or the server does not have it.
pub async fn open(transport: &Transport, url: &str) -> Result<Download> {
    let mut uri: Uri = parse_url(url)?;
    for _ in 0..REDIRECT_LIMIT {
        let host = uri.authority().map(http::uri::Authority::as_str).unwrap_or_default();
        let request = Request::get(&uri).header(USER_AGENT, AGENT).header(ACCEPT, "*/*").header(HOST, host);
        let request = request
            .body(Payload::Empty.body())
            .map_err(|cause| Error::invalid_argument("cannot make request").with_source(cause))?;
        let response = transport.send(request, &Manner::default(), false).await?;
        match header(response.headers(), LOCATION.as_str()) {
            Some(location) if follows(&Method::GET, response.status()) => {
                let next = join_url(&uri, location)?;
                if uri.scheme_str() == Some("https") && next.scheme_str() == Some("http") {
                    return Err(Error::permission_denied(format!(
                        "refusing the redirect of {host} to plain HTTP"
                    )));
                }
                uri = next;
            }
            _ if !response.status().is_success() => {
                return Err(error_of(&format!("cannot download from {host}"), response).await);
            }
            _ => {
                let length =
                    header(response.headers(), CONTENT_LENGTH.as_str()).and_then(|text| text.parse().ok());
                return Ok(Download { length, body: response.into_body() });
            }
        }
    }
    Err(Error::unknown(format!("stopped after {REDIRECT_LIMIT} redirects")))
}

impl Download {
    /// The next bytes; `None` at the end.
    ///
    /// # Errors
    /// The connection broke.
    pub async fn chunk(&mut self) -> Result<Option<Bytes>> {
        while let Some(frame) = self.body.frame().await {
            let frame = frame
                .map_err(|cause| Error::new(Kind::Aborted, "the download broke off").with_source(cause))?;
            if let Ok(bytes) = frame.into_data() {
                return Ok(Some(bytes));
            }
        }
        Ok(None)
    }
}
