//! Authorization: basic, and tokens (distribution "Token Authentication Specification").

use std::collections::HashMap;
use std::future::Future;
use std::pin::Pin;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use errdefs::{Error, Result};
use http::header::{AUTHORIZATION, CONTENT_LENGTH, CONTENT_TYPE, HOST, USER_AGENT};
use http::{HeaderValue, Method, Request, Uri};
use serde::Deserialize;

use crate::challenge::Challenge;
use crate::host::{Host, TlsFiles, encode};
use crate::repository::AGENT;
use crate::request::Payload;
use crate::response::{error_of, read_body};
use crate::transport::{Manner, Transport};

/// A token that names no lifetime lives this long (the specification's default).
const DEFAULT_LIFETIME: Duration = Duration::from_secs(60);
const TOKEN_LIMIT: u64 = 1 << 20;

/// What a caller knows about itself at a host.
#[derive(Clone, PartialEq, Eq)]
pub enum Credential {
    None,
    Basic {
        username: String,
        secret: String,
    },
    /// An identity token, to be traded for access tokens.
    Refresh {
        secret: String,
    },
    /// A whole Authorization header.
    Header(String),
}

impl std::fmt::Debug for Credential {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Credential::None => "None",
            Credential::Basic { .. } => "Basic",
            Credential::Refresh { .. } => "Refresh",
            Credential::Header(_) => "Header",
        })
    }
}

/// The answer to a question for credentials.
pub type Answer<'a> = Pin<Box<dyn Future<Output = Result<Credential>> + Send + 'a>>;

/// Who knows credentials.
pub trait Credentials: Send + Sync {
    /// The credential for `host`, which answered with these `WWW-Authenticate` values.
    fn credential<'a>(&'a self, host: &'a str, challenges: &'a [String]) -> Answer<'a>;
}

/// Nobody.
pub struct Anonymous;

impl Credentials for Anonymous {
    fn credential<'a>(&'a self, _: &'a str, _: &'a [String]) -> Answer<'a> {
        Box::pin(async { Ok(Credential::None) })
    }
}

#[derive(Clone)]
struct Held {
    header: HeaderValue,
    ends: Option<Instant>,
}

/// Headers that hosts took, by host and scopes.
#[derive(Default)]
pub(crate) struct Authorizations {
    held: HashMap<(String, String), Held>,
    /// Whether an identity token is asked for besides, as a login does.
    pub wants_identity: bool,
    /// The identity token that came.
    pub identity: Option<String>,
}

impl Authorizations {
    /// The header to send, unless it ended.
    pub(crate) fn get(&self, host: &Host, scopes: &[String]) -> Option<HeaderValue> {
        let held = self.held.get(&key(host, scopes))?;
        held.ends.is_none_or(|ends| Instant::now() < ends).then(|| held.header.clone())
    }

    /// Drops what the host did not take.
    pub(crate) fn forget(&mut self, host: &Host, scopes: &[String]) {
        self.held.remove(&key(host, scopes));
    }

    /// Answers a host's challenges; false when there is nothing to answer with.
    pub(crate) async fn answer(
        &mut self,
        transport: &Transport,
        credentials: &dyn Credentials,
        host: &Host,
        over_tls: bool,
        challenges: &[String],
        scopes: &[String],
    ) -> Result<bool> {
        let parsed: Vec<Challenge> = challenges.iter().flat_map(|value| Challenge::parse(value)).collect();
        let credential = credentials.credential(&host.authority, challenges).await?;
        if let Credential::Header(value) = &credential {
            return self.hold(host, scopes, value, None);
        }
        if let Some(bearer) = parsed.iter().find(|challenge| challenge.scheme == "bearer") {
            let offline = self.wants_identity;
            let question = Question { transport, host, over_tls, challenge: bearer, scopes, offline };
            let token = question.token(&credential).await?;
            self.identity = token.refresh_token.clone().filter(|token| !token.is_empty());
            let lifetime =
                token.expires_in.filter(|seconds| *seconds > 0).map_or(DEFAULT_LIFETIME, Duration::from_secs);
            // Renewed a little early: the host's clock counts, and the request takes time.
            let ends = Instant::now() + lifetime.mul_f64(0.9);
            let text =
                token.text().ok_or_else(|| Error::unknown("authorization server did not include a token"))?;
            return self.hold(host, scopes, &format!("Bearer {text}"), Some(ends));
        }
        if parsed.iter().any(|challenge| challenge.scheme == "basic")
            && let Credential::Basic { username, secret } = &credential
        {
            return self.hold(host, scopes, &basic(username, secret), None);
        }
        Ok(false)
    }

    fn hold(&mut self, host: &Host, scopes: &[String], value: &str, ends: Option<Instant>) -> Result<bool> {
        let mut header = HeaderValue::from_str(value)
            .map_err(|_| Error::invalid_argument("credential holds bytes that no header may hold"))?;
        header.set_sensitive(true);
        self.held.insert(key(host, scopes), Held { header, ends });
        Ok(true)
    }
}

fn key(host: &Host, scopes: &[String]) -> (String, String) {
    (host.authority.clone(), scopes.join(" "))
}

fn basic(username: &str, secret: &str) -> String {
    format!("Basic {}", STANDARD.encode(format!("{username}:{secret}")))
}

#[derive(Deserialize)]
struct Token {
    #[serde(default)]
    token: String,
    #[serde(default)]
    access_token: String,
    expires_in: Option<u64>,
    refresh_token: Option<String>,
}

impl Token {
    fn text(&self) -> Option<&str> {
        [&self.token, &self.access_token].into_iter().find(|text| !text.is_empty()).map(String::as_str)
    }
}

struct Question<'a> {
    transport: &'a Transport,
    host: &'a Host,
    over_tls: bool,
    challenge: &'a Challenge,
    scopes: &'a [String],
    /// Asks for an identity token.
    offline: bool,
}

impl Question<'_> {
    async fn token(&self, credential: &Credential) -> Result<Token> {
        let realm = self.challenge.parameter("realm").unwrap_or_default();
        let uri: Uri = realm
            .parse()
            .ok()
            .filter(|uri: &Uri| uri.host().is_some() && matches!(uri.scheme_str(), Some("http" | "https")))
            .ok_or_else(|| {
                Error::unknown(format!("{} names no authorization server: {realm:?}", self.host.authority))
            })?;
        if self.over_tls && uri.scheme_str() == Some("http") && *credential != Credential::None {
            return Err(Error::permission_denied(format!(
                "refusing to send credentials to {realm} without TLS"
            )));
        }
        let request = match credential {
            Credential::Refresh { secret } => self.refresh(&uri, secret),
            other => self.plain(&uri, other),
        }?;
        // The server is another host: the registry's own TLS files hold when its name is the same.
        let same = uri.authority().is_some_and(|authority| authority.as_str() == self.host.authority);
        let tls = if same { self.host.tls.clone() } else { TlsFiles::default() };
        let skip_verify = tls.skip_verify || !self.over_tls;
        let manner = Manner { tls, skip_verify, connect_timeout: self.host.connect_timeout };
        let response = self.transport.send(request, &manner, false).await?;
        if !response.status().is_success() {
            return Err(error_of("failed to fetch token", response).await);
        }
        let body = read_body(response, TOKEN_LIMIT).await?;
        serde_json::from_slice(&body).map_err(|cause| {
            Error::unknown("cannot read the authorization server's answer").with_source(cause)
        })
    }

    /// The scopes that the host names, and those that we need.
    fn wanted(&self) -> Vec<String> {
        let named = self.challenge.parameter("scope").unwrap_or_default();
        let mut wanted: Vec<String> =
            named.split(' ').filter(|scope| !scope.is_empty()).map(str::to_owned).collect();
        for scope in self.scopes {
            if !wanted.contains(scope) {
                wanted.push(scope.clone());
            }
        }
        wanted
    }

    fn plain(&self, realm: &Uri, credential: &Credential) -> Result<Request<crate::Body>> {
        let mut url = realm.to_string();
        let mut separator = if realm.query().is_some() { '&' } else { '?' };
        let service = self.challenge.parameter("service").map(|service| ("service", service.to_owned()));
        let mut asked: Vec<(&str, String)> = service.into_iter().collect();
        asked.extend(self.wanted().into_iter().map(|scope| ("scope", scope)));
        if let Credential::Basic { username, .. } = credential {
            asked.push(("account", username.clone()));
        }
        if self.offline {
            asked.extend([("client_id", AGENT.to_owned()), ("offline_token", "true".to_owned())]);
        }
        for (name, value) in asked {
            url.push_str(&format!("{separator}{name}={}", encode(&value)));
            separator = '&';
        }
        let mut request = Request::builder().method(Method::GET).uri(&url).header(USER_AGENT, AGENT);
        if let Credential::Basic { username, secret } = credential {
            request = request.header(AUTHORIZATION, basic(username, secret));
        }
        finish(request, realm, Payload::Empty)
    }

    fn refresh(&self, realm: &Uri, secret: &str) -> Result<Request<crate::Body>> {
        let form = [
            ("grant_type", "refresh_token"),
            ("service", self.challenge.parameter("service").unwrap_or_default()),
            ("client_id", AGENT),
            ("scope", &self.wanted().join(" ")),
            ("refresh_token", secret),
        ];
        let text = form.map(|(name, value)| format!("{name}={}", encode(value))).join("&");
        let request = Request::builder()
            .method(Method::POST)
            .uri(realm)
            .header(USER_AGENT, AGENT)
            .header(CONTENT_LENGTH, text.len())
            .header(CONTENT_TYPE, "application/x-www-form-urlencoded");
        finish(request, realm, Payload::Bytes(text.into()))
    }
}

fn finish(request: http::request::Builder, realm: &Uri, payload: Payload) -> Result<Request<crate::Body>> {
    let host = realm.authority().map(http::uri::Authority::as_str).unwrap_or_default();
    request
        .header(HOST, host)
        .body(payload.body())
        .map_err(|cause| Error::unknown("cannot ask for a token").with_source(cause))
}
