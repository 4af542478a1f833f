//! Blobs, byte for byte, taken up again where a connection broke.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use bytes::Bytes;
use errdefs::{Error, Kind, Result};
use http::header::{ACCEPT, ACCEPT_ENCODING, CONTENT_RANGE, RANGE};
use http::{HeaderValue, Method, Response, StatusCode};
use http_body_util::BodyExt;
use hyper::body::Incoming;

use crate::Target;
use crate::host::{Capabilities, Host, Schemes};
use crate::repository::{Repository, jitter};
use crate::request::Ask;
use crate::resolve::Failures;
use crate::response::{error_of, header};

/// A blob under download.
pub struct Blob<'a> {
    repository: &'a Repository,
    target: &'a Target,
    sources: VecDeque<Source>,
    body: Option<Incoming>,
    /// Bytes handed out, counted from the blob's start.
    offset: u64,
    /// Bytes to drop: the host did not start where it was asked to.
    skip: u64,
    failures: u32,
    /// How long was waited for bytes since the last look at the speed, and how many came.
    window: (Duration, u64),
    /// Looks in a row that found too little.
    slow: u32,
}

#[derive(Clone)]
struct Source {
    host: Host,
    path: String,
    scopes: Vec<String>,
}

impl Repository {
    /// Opens a blob at `offset`. Foreign layers come from the URLs that they name, which get no
    /// credentials, when the registry does not have them.
    ///
    /// # Errors
    /// NotFound when no host has it; the errors of all hosts together.
    pub async fn fetch_blob<'a>(&'a self, target: &'a Target, offset: u64) -> Result<Blob<'a>> {
        let mut blob = Blob {
            repository: self,
            target,
            sources: self.sources(target).into(),
            body: None,
            offset,
            skip: 0,
            failures: 0,
            window: (Duration::ZERO, 0),
            slow: 0,
        };
        blob.open().await?;
        Ok(blob)
    }

    fn sources(&self, target: &Target) -> Vec<Source> {
        let mut sources: Vec<Source> = self
            .hosts
            .iter()
            .filter(|host| host.capabilities.pull)
            .map(|host| Source {
                path: host.path_of(self.reference.path(), &format!("blobs/{}", target.digest)),
                scopes: vec![self.scope("pull")],
                host: host.clone(),
            })
            .collect();
        sources.extend(target.urls.iter().filter_map(|url| foreign(url)));
        sources
    }
}

/// A host of its own for a URL out of a manifest: nothing that belongs to the registry goes there.
fn foreign(url: &str) -> Option<Source> {
    let (scheme, rest) = url.split_once("://")?;
    let schemes = match scheme {
        "https" => Schemes::Https,
        "http" => Schemes::Http,
        _ => return None,
    };
    let (authority, path) = match rest.split_once('/') {
        Some((authority, path)) => (authority, format!("/{path}")),
        None => (rest, "/".to_owned()),
    };
    if authority.contains('@') {
        return None;
    }
    let mut host = Host::origin(authority, schemes);
    host.authority = authority.to_owned();
    host.capabilities = Capabilities::READ;
    host.is_foreign = true;
    Some(Source { host, path, scopes: Vec::new() })
}

impl Blob<'_> {
    /// The next bytes; `None` when the blob is whole. Broken connections are taken up again.
    ///
    /// # Errors
    /// No progress after several tries, or more bytes than the blob has.
    pub async fn chunk(&mut self) -> Result<Option<Bytes>> {
        loop {
            if self.offset == self.target.size {
                return Ok(None);
            }
            let asked = Instant::now();
            let next = self.next_bytes().await;
            self.window.0 += asked.elapsed();
            match next {
                Ok(bytes) => {
                    if self.offset + bytes.len() as u64 > self.target.size {
                        return Err(Error::failed_precondition(format!(
                            "blob {} is longer than {} bytes",
                            self.target.digest, self.target.size
                        )));
                    }
                    self.offset += bytes.len() as u64;
                    self.failures = 0;
                    self.look_at_speed().await?;
                    return Ok(Some(bytes));
                }
                Err(error) => {
                    self.body = None;
                    self.failures += 1;
                    if self.failures >= self.repository.limits.attempts {
                        return Err(error);
                    }
                    let wait = self.repository.limits.first_wait * 2u32.pow(self.failures - 1);
                    tokio::time::sleep(jitter(wait)).await;
                    self.open().await?;
                }
            }
        }
    }

    /// A host that sends a byte now and then is as good as none: after a while another one is asked, or the
    /// same anew, and in the end the download fails. The time that writing takes on this side does not count.
    async fn look_at_speed(&mut self) -> Result<()> {
        let limits = &self.repository.limits;
        let (waited, came) = self.window;
        if waited < limits.stall || self.offset == self.target.size {
            return Ok(());
        }
        self.window = (Duration::ZERO, 0);
        if came >= limits.least {
            self.slow = 0;
            return Ok(());
        }
        self.slow += 1;
        if self.slow >= limits.attempts {
            let host = self.sources.front().map_or("", |source| source.host.authority.as_str());
            return Err(Error::unavailable(format!(
                "cannot read blob: {host} sends less than {} bytes in {:?}",
                limits.least, limits.stall
            )));
        }
        self.body = None;
        self.sources.rotate_left(1);
        self.open().await
    }

    async fn next_bytes(&mut self) -> Result<Bytes> {
        let broken = |text: &str| Error::new(Kind::Unavailable, format!("cannot read blob: {text}"));
        let body = self.body.as_mut().ok_or_else(|| broken("not open"))?;
        loop {
            let frame = tokio::time::timeout(self.repository.limits.stall, body.frame())
                .await
                .map_err(|_| broken("no bytes in time"))?;
            let frame = frame
                .ok_or_else(|| broken("unexpected EOF"))?
                .map_err(|cause| broken("connection broke").with_source(cause))?;
            let Ok(mut data) = frame.into_data() else { continue };
            self.window.1 += data.len() as u64;
            if self.skip > 0 {
                let drop = self.skip.min(data.len() as u64);
                self.skip -= drop;
                data = data.split_off(drop as usize);
            }
            if !data.is_empty() {
                return Ok(data);
            }
        }
    }

    /// Asks for what is missing, from the first source that has it.
    async fn open(&mut self) -> Result<()> {
        if self.offset == self.target.size {
            return Ok(());
        }
        let mut failures = Failures::default();
        for _ in 0..self.sources.len() {
            let source = self.sources[0].clone();
            match self.open_at(&source).await {
                Ok(()) => return Ok(()),
                Err(error) => failures.add(&source.host, error),
            }
            self.sources.rotate_left(1);
        }
        Err(failures.into_error("failed to fetch blob", self.target.digest.as_str()))
    }

    async fn open_at(&mut self, source: &Source) -> Result<()> {
        let mut ask = Ask::new(Method::GET, source.path.clone(), "");
        ask.scopes.clone_from(&source.scopes);
        ask.headers.insert(ACCEPT, HeaderValue::from_static("*/*"));
        // The digest is of the bytes as stored.
        ask.headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        if self.offset > 0
            && let Ok(range) = HeaderValue::from_str(&format!("bytes={}-", self.offset))
        {
            ask.headers.insert(RANGE, range);
        }
        let response = self.repository.ask(&source.host, &ask).await?;
        self.skip = match response.status() {
            StatusCode::OK => self.offset,
            StatusCode::PARTIAL_CONTENT => self.offset - started_at(&response, self.offset)?,
            _ => {
                return Err(
                    error_of(&format!("cannot get blob at {}", source.host.authority), response).await
                );
            }
        };
        self.body = Some(response.into_body());
        Ok(())
    }
}

/// Where a partial answer starts; it must not be past what is missing.
fn started_at(response: &Response<Incoming>, wanted: u64) -> Result<u64> {
    let Some(range) = header(response.headers(), CONTENT_RANGE.as_str()) else { return Ok(wanted) };
    range
        .strip_prefix("bytes ")
        .and_then(|range| range.split_once('-'))
        .and_then(|(start, _)| start.trim().parse().ok())
        .filter(|start| *start <= wanted)
        .ok_or_else(|| Error::unknown(format!("host answered with range {range:?}, asked from {wanted}")))
}
