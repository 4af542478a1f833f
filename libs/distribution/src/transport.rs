//! Connections to hosts.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use errdefs::{Error, Kind, Result};
use http::header::PROXY_AUTHORIZATION;
use http::{Request, Response};
use hyper::body::Incoming;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;

use crate::connect::Connector;
use crate::host::TlsFiles;
use crate::proxies::Proxies;
use crate::request::Body;
use crate::tls::client_config;

/// For the head of an answer, after the whole request was sent.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(60);

type Connections = Client<HttpsConnector<Connector>, Body>;

/// How a host is connected to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Manner {
    pub tls: TlsFiles,
    /// No certificate is verified.
    pub skip_verify: bool,
    /// Longest wait for a connection; `None` is the usual one.
    pub connect_timeout: Option<Duration>,
}

/// Connections, kept and shared by all that connect in the same manner.
#[derive(Default)]
pub struct Transport {
    proxies: Arc<Proxies>,
    clients: Mutex<HashMap<Manner, Connections>>,
}

impl Transport {
    /// No connection is open yet; hosts are reached by way of `proxies`.
    pub fn new(proxies: Proxies) -> Transport {
        Transport { proxies: Arc::new(proxies), clients: Mutex::default() }
    }

    fn client(&self, manner: &Manner) -> Result<Connections> {
        let mut clients = self.clients.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if let Some(client) = clients.get(manner) {
            return Ok(client.clone());
        }
        let connector = HttpsConnectorBuilder::new()
            .with_tls_config(client_config(&manner.tls, manner.skip_verify)?)
            .https_or_http()
            .enable_http1()
            .wrap_connector(Connector::new(self.proxies.clone(), manner.connect_timeout));
        let client =
            Client::builder(TokioExecutor::new()).pool_idle_timeout(Duration::from_secs(30)).build(connector);
        clients.insert(manner.clone(), client.clone());
        Ok(client)
    }

    /// Sends one request and waits for the head of the answer; `patient` when a long body goes out.
    pub(crate) async fn send(
        &self,
        mut request: Request<Body>,
        manner: &Manner,
        patient: bool,
    ) -> Result<Response<Incoming>> {
        // Query values may be secrets of a storage service: they stay out of error texts.
        let what = format!("{} {}", request.method(), without_query(&request.uri().to_string()));
        // By TLS the proxy learns it when the tunnel is opened.
        if request.uri().scheme_str() == Some("http")
            && let Some(value) = self.proxies.of(request.uri()).and_then(|proxy| proxy.authorization.clone())
        {
            request.headers_mut().insert(PROXY_AUTHORIZATION, value);
        }
        let client = self.client(manner)?;
        let answer = client.request(request);
        let answer = if patient {
            answer.await
        } else {
            tokio::time::timeout(ANSWER_TIMEOUT, answer)
                .await
                .map_err(|_| Error::unavailable(format!("cannot {what}: no answer in time")))?
        };
        answer.map_err(|error| {
            let kind = if error.is_connect() { Kind::Unavailable } else { Kind::Aborted };
            let hint = if error.is_connect() {
                Some("check that the registry runs and can be reached")
            } else {
                None
            };
            let wrapped = Error::new(kind, format!("failed to do request: {what}")).with_source(error);
            match hint {
                Some(hint) => wrapped.with_hint(hint),
                None => wrapped,
            }
        })
    }
}

pub(crate) fn without_query(url: &str) -> &str {
    url.split('?').next().unwrap_or(url)
}
