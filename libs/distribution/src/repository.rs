//! A repository at its hosts: every request with authorization, redirects and retries.

use std::sync::Arc;
use std::time::Duration;

use errdefs::{Error, Kind, Result};
use http::header::{
    AUTHORIZATION, CONTENT_LENGTH, HOST, LOCATION, RETRY_AFTER, USER_AGENT, WWW_AUTHENTICATE,
};
use http::{HeaderName, HeaderValue, Method, Request, Response, StatusCode, Uri};
use hyper::body::Incoming;
use reference::Reference;
use tokio::sync::Mutex;

use crate::auth::{Authorizations, Credentials};
use crate::host::{Host, Schemes, TlsFiles};
use crate::request::Ask;
use crate::response::header;
use crate::transport::{Manner, Transport};

pub(crate) const AGENT: &str = concat!("wherry/", env!("CARGO_PKG_VERSION"));
pub(crate) const REDIRECT_LIMIT: usize = 10;

/// How hard to try.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Tries of one request, and of one blob without a byte of progress.
    pub attempts: u32,
    /// Wait before the second try; it doubles each time.
    pub first_wait: Duration,
    /// Longest time without a byte before a download is taken up anew.
    pub stall: Duration,
    /// Bytes that must come in as long a time: a download that only trickles is taken up anew as well.
    pub least: u64,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            attempts: 5,
            first_wait: Duration::from_millis(250),
            stall: Duration::from_secs(60),
            least: 64 << 10,
        }
    }
}

/// A repository of a registry.
pub struct Repository {
    pub(crate) reference: Reference,
    pub(crate) hosts: Vec<Host>,
    pub(crate) limits: Limits,
    transport: Arc<Transport>,
    credentials: Arc<dyn Credentials>,
    pub(crate) authorizations: Mutex<Authorizations>,
    /// Hosts of [`Schemes::Insecure`] that turned out to speak plain HTTP only.
    plain: std::sync::Mutex<Vec<String>>,
}

impl Repository {
    /// The repository of `reference` at `hosts`; nothing is asked yet.
    pub fn new(
        reference: Reference,
        hosts: Vec<Host>,
        transport: Arc<Transport>,
        credentials: Arc<dyn Credentials>,
        limits: Limits,
    ) -> Repository {
        Repository {
            reference,
            hosts,
            limits,
            transport,
            credentials,
            authorizations: Mutex::default(),
            plain: std::sync::Mutex::default(),
        }
    }

    /// The image name whose repository this is.
    pub fn reference(&self) -> &Reference {
        &self.reference
    }

    /// Scope of a token for this repository.
    pub(crate) fn scope(&self, actions: &str) -> String {
        format!("repository:{}:{actions}", self.reference.path())
    }

    /// Asks `host`, answers its challenges, follows redirects, and tries again what may yet succeed.
    pub(crate) async fn ask(&self, host: &Host, ask: &Ask) -> Result<Response<Incoming>> {
        let mut wait = self.limits.first_wait;
        let mut attempt = 1;
        loop {
            let result = self.ask_once(host, ask).await;
            let pause = match &result {
                Ok(response) if may_pass(response.status()) => retry_after(response).unwrap_or(wait),
                // A reused connection that the host closed, or a host that is just starting.
                Err(error) if matches!(error.kind(), Kind::Unavailable | Kind::Aborted) => wait,
                _ => return result,
            };
            if attempt >= self.limits.attempts || refused(&result) {
                return result;
            }
            attempt += 1;
            tokio::time::sleep(jitter(pause)).await;
            wait *= 2;
        }
    }

    /// The same, once: for bodies that are no use twice.
    pub(crate) async fn ask_once(&self, host: &Host, ask: &Ask) -> Result<Response<Incoming>> {
        let mut challenged = 0;
        loop {
            let over_tls = self.find_scheme(host).await?;
            let authorization = self.authorizations.lock().await.get(host, &ask.scopes);
            let response = self.send(host, over_tls, ask, authorization.as_ref()).await?;
            if response.status() != StatusCode::UNAUTHORIZED || challenged == 2 || host.is_foreign {
                return Ok(response);
            }
            challenged += 1;
            let mut authorizations = self.authorizations.lock().await;
            // Somebody else may have been challenged and answered meanwhile.
            if authorizations.get(host, &ask.scopes) != authorization {
                continue;
            }
            authorizations.forget(host, &ask.scopes);
            let challenges: Vec<String> = response
                .headers()
                .get_all(WWW_AUTHENTICATE)
                .iter()
                .filter_map(|value| value.to_str().ok().map(str::to_owned))
                .collect();
            let answered = authorizations
                .answer(&self.transport, &*self.credentials, host, over_tls, &challenges, &ask.scopes)
                .await?;
            if !answered {
                return Ok(response);
            }
        }
    }

    /// Sends, and follows where the answer leads. Authorization and the host's own headers go to the
    /// host alone: another one gets neither (CVE-2020-15157).
    async fn send(
        &self,
        host: &Host,
        over_tls: bool,
        ask: &Ask,
        authorization: Option<&HeaderValue>,
    ) -> Result<Response<Incoming>> {
        let scheme = if over_tls { "https" } else { "http" };
        let own: Uri = parse_url(&format!("{scheme}://{}/", host.authority))?;
        let mut uri = if ask.path.contains("://") {
            parse_url(&ask.path)?
        } else {
            parse_url(&format!("{scheme}://{}{}", host.authority, ask.path))?
        };
        for _ in 0..REDIRECT_LIMIT {
            let at_home = same_origin(&own, &uri);
            let mut request =
                Request::builder().method(ask.method.clone()).uri(&uri).header(USER_AGENT, AGENT);
            request =
                request.header(HOST, uri.authority().map(http::uri::Authority::as_str).unwrap_or_default());
            for (name, value) in &ask.headers {
                request = request.header(name, value);
            }
            if ask.payload.length() > 0 || matches!(ask.method, Method::POST | Method::PUT | Method::PATCH) {
                request = request.header(CONTENT_LENGTH, ask.payload.length());
            }
            if at_home {
                for (name, value) in &host.headers {
                    if let (Ok(name), Ok(value)) = (name.parse::<HeaderName>(), HeaderValue::from_str(value))
                    {
                        request = request.header(name, value);
                    }
                }
                if let Some(value) = authorization {
                    request = request.header(AUTHORIZATION, value);
                }
            }
            let request = request
                .body(ask.payload.body())
                .map_err(|cause| Error::unknown("cannot make request").with_source(cause))?;
            let manner = Manner {
                tls: if at_home { host.tls.clone() } else { TlsFiles::default() },
                skip_verify: host.tls.skip_verify || host.schemes == Schemes::Insecure,
                connect_timeout: host.connect_timeout,
            };
            let response = self.transport.send(request, &manner, ask.payload.length() > 1 << 20).await?;
            if !follows(&ask.method, response.status()) {
                return Ok(response);
            }
            let Some(location) = header(response.headers(), LOCATION.as_str()) else { return Ok(response) };
            let next = join_url(&uri, location)?;
            if uri.scheme_str() == Some("https")
                && next.scheme_str() == Some("http")
                && host.schemes == Schemes::Https
            {
                return Err(Error::permission_denied(format!(
                    "refusing the redirect of {} from TLS to plain HTTP",
                    host.authority
                )));
            }
            uri = next;
        }
        Err(Error::unknown(format!("stopped after {REDIRECT_LIMIT} redirects from {}", host.authority)))
    }

    /// Whether the host speaks TLS. For insecure ones the first answer decides.
    async fn find_scheme(&self, host: &Host) -> Result<bool> {
        let known_plain = || {
            let plain = self.plain.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            plain.contains(&host.authority)
        };
        match host.schemes {
            Schemes::Https => return Ok(true),
            Schemes::Http => return Ok(false),
            Schemes::Insecure if known_plain() => return Ok(false),
            Schemes::Insecure => {}
        }
        let ping = Ask::new(Method::HEAD, format!("{}/", host.path), "");
        match self.send(host, true, &ping, None).await {
            Err(error) if error.kind() == Kind::Unavailable => {
                let mut plain = self.plain.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
                plain.push(host.authority.clone());
                Ok(false)
            }
            // Any answer at all is one over TLS.
            _ => Ok(true),
        }
    }
}

pub(crate) fn follows(method: &Method, status: StatusCode) -> bool {
    let asks = matches!(*method, Method::GET | Method::HEAD);
    asks && matches!(status.as_u16(), 301 | 302 | 303 | 307 | 308)
}

/// Whether the host may yet do what it did not do now.
fn may_pass(status: StatusCode) -> bool {
    matches!(status.as_u16(), 408 | 425 | 429 | 500 | 502 | 503 | 504)
}

/// Nobody listens there: trying again soon does not help.
fn refused(result: &Result<Response<Incoming>>) -> bool {
    let Err(error) = result else { return false };
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(error) = cause {
        if let Some(io) = error.downcast_ref::<std::io::Error>()
            && io.kind() == std::io::ErrorKind::ConnectionRefused
        {
            return true;
        }
        cause = error.source();
    }
    false
}

fn retry_after(response: &Response<Incoming>) -> Option<Duration> {
    let seconds: u64 = header(response.headers(), RETRY_AFTER.as_str())?.parse().ok()?;
    Some(Duration::from_secs(seconds.min(30)))
}

/// Between half and the whole of a time, so that many clients do not come back at once.
pub(crate) fn jitter(time: Duration) -> Duration {
    let random = getrandom::u32().map_or(0.5, |random| f64::from(random) / f64::from(u32::MAX));
    time.mul_f64(0.5 + random / 2.0)
}

fn same_origin(a: &Uri, b: &Uri) -> bool {
    let port = |uri: &Uri| uri.port_u16().unwrap_or(if uri.scheme_str() == Some("http") { 80 } else { 443 });
    a.scheme() == b.scheme() && a.host() == b.host() && port(a) == port(b)
}

pub(crate) fn parse_url(text: &str) -> Result<Uri> {
    text.parse::<Uri>()
        .ok()
        .filter(|uri| uri.host().is_some() && matches!(uri.scheme_str(), Some("http" | "https")))
        .ok_or_else(|| {
            Error::invalid_argument(format!("{:?} is no URL", crate::transport::without_query(text)))
        })
}

/// A `Location` seen from where the answer came from.
pub(crate) fn join_url(base: &Uri, location: &str) -> Result<Uri> {
    if location.contains("://") {
        return parse_url(location);
    }
    let scheme = base.scheme_str().unwrap_or("https");
    if let Some(rest) = location.strip_prefix("//") {
        return parse_url(&format!("{scheme}://{rest}"));
    }
    let authority = base.authority().map(http::uri::Authority::as_str).unwrap_or_default();
    if location.starts_with('/') {
        return parse_url(&format!("{scheme}://{authority}{location}"));
    }
    let directory = base.path().rsplit_once('/').map_or("", |(directory, _)| directory);
    parse_url(&format!("{scheme}://{authority}{directory}/{location}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn locations_are_joined() {
        let base: Uri = "https://r.example:5000/v2/a/blobs/uploads/".parse().unwrap();
        for (location, expected) in [
            ("/v2/x?y=1", "https://r.example:5000/v2/x?y=1"),
            ("http://o.example/z", "http://o.example/z"),
            ("//o.example/z", "https://o.example/z"),
            ("id?_state=1", "https://r.example:5000/v2/a/blobs/uploads/id?_state=1"),
        ] {
            assert_eq!(join_url(&base, location).unwrap().to_string(), expected);
        }
        assert!(join_url(&base, "ftp://o.example/").is_err());
    }

    #[test]
    fn ports_belong_to_the_origin() {
        let uri = |text: &str| text.parse::<Uri>().unwrap();
        assert!(same_origin(&uri("https://a/x"), &uri("https://a:443/y")));
        for other in ["http://a/", "https://a:444/", "https://b/"] {
            assert!(!same_origin(&uri("https://a/"), &uri(other)));
        }
    }
}
