//! Authorization plugins: each is asked about every request and every answer, by the protocol that
//! Docker's plugins speak (`AuthZPlugin.AuthZReq`, `AuthZPlugin.AuthZRes`).

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use errdefs::{Error, Result};
use http::{HeaderMap, Response, header};
use http_body_util::BodyExt;
use rustls::pki_types::CertificateDer;
use serde::{Deserialize, Serialize};

use super::body::{Body, RequestBody};
use super::plugin;
use super::rate::Client;
use crate::engine::Engine;

/// Bodies that are longer are not shown to plugins, as in Docker.
const BODY_LIMIT_BYTES: usize = 1 << 20;
/// Headers that carry credentials, which no plugin needs.
const SECRET: [&str; 3] = ["x-registry-auth", "x-registry-config", "authorization"];

/// Who asks.
#[derive(Clone, Debug, Default)]
pub struct Caller {
    /// The name in the client's certificate; empty on a unix socket.
    user: String,
    certificates: Vec<Vec<u8>>,
    /// User of this host on a unix socket.
    uid: u32,
}

impl Caller {
    /// The client of a TLS connection.
    pub fn of(certificates: Option<&[CertificateDer<'_>]>) -> Caller {
        let certificates: Vec<Vec<u8>> =
            certificates.unwrap_or_default().iter().map(|certificate| certificate.to_vec()).collect();
        let user = certificates.first().and_then(|first| super::tls::common_name(first)).unwrap_or_default();
        Caller { user, certificates, uid: 0 }
    }

    /// A user of this host.
    pub fn local(uid: u32) -> Caller {
        Caller { uid, ..Caller::default() }
    }

    /// Whose requests are counted together.
    pub fn client(&self) -> Client {
        match self.certificates.first() {
            Some(certificate) => Client::Certificate(certificate.clone()),
            None => Client::User(self.uid),
        }
    }
}

/// What a plugin is told.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Question {
    #[serde(skip_serializing_if = "String::is_empty")]
    user: String,
    #[serde(rename = "UserAuthNMethod", skip_serializing_if = "String::is_empty")]
    user_authn_method: String,
    request_method: String,
    #[serde(rename = "RequestUri")]
    request_uri: String,
    /// Base64, as Go writes bytes.
    #[serde(skip_serializing_if = "String::is_empty")]
    request_body: String,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    request_headers: BTreeMap<String, String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    request_peer_certificates: Vec<String>,
    #[serde(skip_serializing_if = "is_zero")]
    response_status_code: u16,
    #[serde(skip_serializing_if = "String::is_empty")]
    response_body: String,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    response_headers: BTreeMap<String, String>,
}

fn is_zero(code: &u16) -> bool {
    *code == 0
}

/// What it says.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Verdict {
    allow: bool,
    msg: String,
    err: String,
}

/// One request on its way through the plugins.
pub struct Asked {
    plugins: Vec<String>,
    question: Question,
}

/// Asks every plugin whether the request may be. What was read of the body to show it is put back.
///
/// # Errors
/// A plugin says no, or cannot be asked.
pub async fn ask(
    engine: &Engine,
    caller: &Caller,
    parts: &http::request::Parts,
    body: RequestBody,
) -> Result<(Asked, RequestBody)> {
    let plugins = engine.settings().authorization_plugins.clone();
    if plugins.is_empty() {
        return Ok((Asked { plugins, question: Question::default() }, body));
    }
    let (shown, body) = look(&parts.headers, body).await?;
    let question = Question {
        user: caller.user.clone(),
        user_authn_method: if caller.certificates.is_empty() { "" } else { "TLS" }.to_owned(),
        request_method: parts.method.to_string(),
        request_uri: parts.uri.to_string(),
        request_body: STANDARD.encode(shown),
        request_headers: headers(&parts.headers),
        request_peer_certificates: caller.certificates.iter().map(|one| pem(one)).collect(),
        ..Question::default()
    };
    let asked = Asked { plugins, question };
    asked.all("AuthZPlugin.AuthZReq").await?;
    Ok((asked, body))
}

impl Asked {
    /// Asks every plugin whether the answer may be given.
    ///
    /// # Errors
    /// As [`ask`].
    pub async fn answer(mut self, answer: &Response<Body>) -> Result<()> {
        if self.plugins.is_empty() {
            return Ok(());
        }
        self.question.response_status_code = answer.status().as_u16();
        self.question.response_headers = headers(answer.headers());
        if let Body::Whole(Some(bytes)) = answer.body()
            && bytes.len() <= BODY_LIMIT_BYTES
        {
            self.question.response_body = STANDARD.encode(bytes);
        }
        self.plugins.reverse();
        self.all("AuthZPlugin.AuthZRes").await
    }

    async fn all(&self, method: &str) -> Result<()> {
        for name in &self.plugins {
            let verdict: Verdict = plugin::call(name, method, &self.question).await.map_err(|cause| {
                Error::internal(format!("plugin {name} failed with error: {method}: {}", cause.chain()))
            })?;
            if !verdict.err.is_empty() {
                let text = format!("plugin {name} failed with error: {method}: {}", verdict.err);
                return Err(Error::internal(text));
            }
            if !verdict.allow {
                let text = format!("authorization denied by plugin {name}: {}", verdict.msg);
                return Err(Error::permission_denied(text));
            }
        }
        Ok(())
    }
}

/// The body, where it is JSON and not too long; what was read comes first when it is read again.
async fn look(headers: &HeaderMap, mut body: RequestBody) -> Result<(Bytes, RequestBody)> {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if !kind.starts_with("application/json") || headers.contains_key(header::UPGRADE) {
        return Ok((Bytes::new(), body));
    }
    let mut read = Vec::new();
    while read.len() <= BODY_LIMIT_BYTES {
        let Some(frame) = body.frame().await else { break };
        let frame =
            frame.map_err(|cause| Error::invalid_argument(format!("cannot read the request: {cause}")))?;
        if let Ok(data) = frame.into_data() {
            read.extend_from_slice(&data);
        }
    }
    let read = Bytes::from(read);
    let shown = if read.len() <= BODY_LIMIT_BYTES { read.clone() } else { Bytes::new() };
    Ok((shown, body.after(read)))
}

fn headers(all: &HeaderMap) -> BTreeMap<String, String> {
    let shown = all.iter().filter(|(name, _)| !SECRET.contains(&name.as_str()));
    shown
        .filter_map(|(name, value)| Some((canonical(name.as_str()), value.to_str().ok()?.to_owned())))
        .collect()
}

/// `content-type` as Go writes it: `Content-Type`.
fn canonical(name: &str) -> String {
    let part = |part: &str| {
        let (first, rest) = part.split_at(part.chars().next().map_or(0, char::len_utf8));
        first.to_ascii_uppercase() + rest
    };
    name.split('-').map(part).collect::<Vec<_>>().join("-")
}

fn pem(certificate: &[u8]) -> String {
    let text = STANDARD.encode(certificate);
    let lines = text.as_bytes().chunks(64).map(String::from_utf8_lossy).collect::<Vec<_>>().join("\n");
    format!("-----BEGIN CERTIFICATE-----\n{lines}\n-----END CERTIFICATE-----\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_are_shown_without_secrets() {
        let mut map = HeaderMap::new();
        map.insert("content-type", "application/json".parse().unwrap());
        map.insert("x-registry-auth", "c2VjcmV0".parse().unwrap());
        let shown = headers(&map);
        assert_eq!(shown, BTreeMap::from([("Content-Type".to_owned(), "application/json".to_owned())]));
    }

    #[test]
    fn questions_have_dockers_names() {
        let question =
            Question { request_uri: "/info".into(), request_method: "GET".into(), ..Question::default() };
        let json = serde_json::to_value(&question).unwrap();
        assert_eq!(json, serde_json::json!({"RequestMethod": "GET", "RequestUri": "/info"}));
    }
}
