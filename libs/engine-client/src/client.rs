//! The client: an endpoint, its negotiated version, idle connections.

use std::cell::{Cell, RefCell};

use bytes::Bytes;
use http_body_util::combinators::UnsyncBoxBody;
use hyper::Method;
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;

use crate::api_version::ApiVersion;
use crate::connection::Stream;
use crate::endpoint::Endpoint;
use crate::error::Error;
use crate::request::Request;
use crate::tls::Tls;

pub(crate) type Body = UnsyncBoxBody<Bytes, std::io::Error>;

/// What `HEAD /_ping` tells.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ping {
    pub api_version: Option<ApiVersion>,
    pub os_type: String,
    pub experimental: bool,
    pub builder_version: String,
}

/// Speaks to one engine. Belongs to one thread (a `current_thread` runtime).
pub struct Client {
    endpoint: Endpoint,
    tls: Option<Tls>,
    headers: Vec<(String, String)>,
    version: Cell<Option<ApiVersion>>,
    ping: RefCell<Option<Ping>>,
    idle: RefCell<Vec<SendRequest<Body>>>,
}

impl Client {
    pub fn new(endpoint: Endpoint) -> Self {
        Self {
            endpoint,
            tls: None,
            headers: Vec::new(),
            version: Cell::new(None),
            ping: RefCell::new(None),
            idle: RefCell::new(Vec::new()),
        }
    }

    /// Speaks TLS where the endpoint is TCP.
    #[must_use]
    pub fn with_tls(mut self, tls: Tls) -> Self {
        self.tls = Some(tls);
        self
    }

    /// Adds a header to every request (`HttpHeaders` of config.json).
    #[must_use]
    pub fn with_header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Speaks exactly this version, without asking (`DOCKER_API_VERSION`).
    #[must_use]
    pub fn with_version(self, version: ApiVersion) -> Self {
        self.version.set(Some(version));
        self
    }

    pub fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    pub(crate) fn headers(&self) -> &[(String, String)] {
        &self.headers
    }

    /// The version in use: pinned, or the lower of the engine's and ours.
    ///
    /// # Errors
    /// The engine cannot be reached.
    pub async fn version(&self) -> Result<ApiVersion, Error> {
        if let Some(version) = self.version.get() {
            return Ok(version);
        }
        // Boxed: a ping is itself a request, though one that asks for no version.
        let engine = Box::pin(self.ping()).await?.api_version.unwrap_or(ApiVersion::OLDEST);
        let version = engine.min(ApiVersion::NEWEST);
        self.version.set(Some(version));
        Ok(version)
    }

    /// Asks once what the engine is.
    ///
    /// # Errors
    /// The engine cannot be reached. An error answer counts as a ping without facts.
    pub async fn ping(&self) -> Result<Ping, Error> {
        if let Some(ping) = self.ping.borrow().as_ref() {
            return Ok(ping.clone());
        }
        let response = Request::unversioned(self, Method::HEAD, "/_ping").send_raw().await?;
        let text = |name: &str| response.header(name).unwrap_or_default().to_owned();
        let ping = Ping {
            api_version: text("api-version").parse().ok(),
            os_type: text("ostype"),
            experimental: text("docker-experimental") == "true",
            builder_version: text("builder-version"),
        };
        response.drain().await?;
        *self.ping.borrow_mut() = Some(ping.clone());
        Ok(ping)
    }

    /// Refuses what the negotiated version lacks.
    ///
    /// # Errors
    /// [`Error::TooOld`], or the engine cannot be reached.
    pub async fn require(&self, what: &str, needs: ApiVersion) -> Result<(), Error> {
        let has = self.version().await?;
        if has < needs {
            return Err(Error::TooOld { what: what.to_owned(), needs, has });
        }
        Ok(())
    }

    pub fn get(&self, path: &str) -> Request<'_> {
        Request::new(self, Method::GET, path)
    }

    pub fn post(&self, path: &str) -> Request<'_> {
        Request::new(self, Method::POST, path)
    }

    pub fn put(&self, path: &str) -> Request<'_> {
        Request::new(self, Method::PUT, path)
    }

    pub fn head(&self, path: &str) -> Request<'_> {
        Request::new(self, Method::HEAD, path)
    }

    pub fn delete(&self, path: &str) -> Request<'_> {
        Request::new(self, Method::DELETE, path)
    }

    /// A raw connection, for `system dial-stdio`.
    ///
    /// # Errors
    /// The engine cannot be reached.
    pub async fn dial(&self) -> Result<Stream, Error> {
        Stream::connect(&self.endpoint, self.tls.as_ref()).await
    }

    /// An idle connection, or a new one.
    pub(crate) async fn sender(&self) -> Result<SendRequest<Body>, Error> {
        while let Some(mut sender) = self.take_idle() {
            if sender.ready().await.is_ok() {
                return Ok(sender);
            }
        }
        let stream = Stream::connect(&self.endpoint, self.tls.as_ref()).await?;
        let (sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
        tokio::spawn(async move {
            // The request that waits on this connection reports its failure.
            let _ = connection.with_upgrades().await;
        });
        Ok(sender)
    }

    fn take_idle(&self) -> Option<SendRequest<Body>> {
        self.idle.borrow_mut().pop()
    }

    pub(crate) fn keep(&self, sender: SendRequest<Body>) {
        if !sender.is_closed() {
            self.idle.borrow_mut().push(sender);
        }
    }
}
