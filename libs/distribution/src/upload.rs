//! A blob on its way to a registry (distribution-spec "Pushing Blobs"): taken up again where it broke.

use errdefs::{Error, Kind, Result};
use http::header::{CONTENT_RANGE, CONTENT_TYPE, LOCATION, RANGE};
use http::{HeaderMap, HeaderValue, Method, StatusCode};

use crate::Target;
use crate::host::{Host, encode};
use crate::push::{BlobSource, denied};
use crate::repository::{Repository, jitter, join_url};
use crate::request::{Ask, Payload};
use crate::response::{error_of, header};

/// Blobs up to this size go with the request that finishes them: one round trip less.
const SMALL: u64 = 1 << 20;
/// Bytes of a chunk for hosts that refuse longer bodies.
const CHUNK: u64 = 16 << 20;

/// One upload.
pub(crate) struct Upload<'a> {
    repository: &'a Repository,
    host: &'a Host,
    target: &'a Target,
    source: &'a BlobSource,
    /// Where the next bytes go; `None` before the host named a place.
    place: Option<String>,
    /// Bytes that the host has.
    done: u64,
    /// Longest body that the host takes, as far as we know.
    longest: u64,
}

impl<'a> Upload<'a> {
    pub(crate) fn new(
        repository: &'a Repository,
        host: &'a Host,
        target: &'a Target,
        source: &'a BlobSource,
    ) -> Self {
        Upload { repository, host, target, source, place: None, done: 0, longest: u64::MAX }
    }

    /// Sends everything. What breaks is tried again from where the host says that it is.
    pub(crate) async fn run(mut self) -> Result<()> {
        let limits = self.repository.limits;
        let mut failures = 0;
        loop {
            let before = self.done;
            let Err(error) = self.advance().await else { return Ok(()) };
            if matches!(error.kind(), Kind::PermissionDenied | Kind::Unauthenticated | Kind::NotFound) {
                return Err(error);
            }
            if error.kind() == Kind::ResourceExhausted {
                self.longest = CHUNK.min(self.longest / 2).max(1);
            }
            self.find_place().await;
            failures = if self.done > before { 0 } else { failures + 1 };
            if failures >= limits.attempts {
                return Err(error);
            }
            tokio::time::sleep(jitter(limits.first_wait * 2u32.pow(failures))).await;
        }
    }

    /// Goes on to the end, or to the first failure.
    async fn advance(&mut self) -> Result<()> {
        if self.place.is_none() {
            self.open().await?;
        }
        let all_at_once = self.done == 0 && self.target.size <= SMALL.min(self.longest);
        while !all_at_once && self.done < self.target.size {
            self.patch().await?;
        }
        self.finish().await
    }

    async fn open(&mut self) -> Result<()> {
        let ask = Ask::new(Method::POST, self.base(), &self.repository.scope("pull,push"));
        let opened = self.repository.ask(self.host, &ask).await?;
        if !opened.status().is_success() {
            return Err(denied(error_of("failed to start upload", opened).await));
        }
        self.done = 0;
        self.take_place(opened.headers())?;
        if self.place.is_none() {
            return Err(Error::unknown("registry names no place to upload to"));
        }
        Ok(())
    }

    async fn patch(&mut self) -> Result<()> {
        let length = (self.target.size - self.done).min(self.longest);
        let mut patch = self.ask(Method::PATCH, self.place.clone().unwrap_or_default(), self.done, length);
        if length < self.target.size {
            // Part of the whole: the host refuses it when it does not join.
            let range = format!("{}-{}", self.done, self.done + length - 1);
            patch.headers.extend(HeaderValue::from_str(&range).ok().map(|range| (CONTENT_RANGE, range)));
        }
        let patched = self.repository.ask_once(self.host, &patch).await?;
        match patched.status() {
            status if status.is_success() => {}
            StatusCode::PAYLOAD_TOO_LARGE => {
                return Err(Error::new(
                    Kind::ResourceExhausted,
                    format!("registry refuses a body of {length} bytes"),
                ));
            }
            _ => return Err(denied(error_of("failed to upload", patched).await)),
        }
        self.take_place(patched.headers())?;
        self.done += length;
        Ok(())
    }

    /// Names the digest; what is not there yet goes with it.
    async fn finish(&mut self) -> Result<()> {
        let place = self.place.clone().unwrap_or_default();
        let separator = if place.contains('?') { '&' } else { '?' };
        let url = format!("{place}{separator}digest={}", encode(self.target.digest.as_str()));
        let put = self.ask(Method::PUT, url, self.done, self.target.size - self.done);
        let done = self.repository.ask_once(self.host, &put).await?;
        if done.status().is_success() {
            return Ok(());
        }
        if done.status() == StatusCode::PAYLOAD_TOO_LARGE {
            return Err(Error::new(Kind::ResourceExhausted, "registry refuses so long a body"));
        }
        let error = denied(error_of("failed to finish upload", done).await);
        // What it holds is not what we have: from the start.
        (self.place, self.done) = (None, 0);
        Err(error)
    }

    /// After a failure: asks how much arrived. An upload that the host has forgotten begins anew.
    async fn find_place(&mut self) {
        let Some(place) = self.place.take() else { return };
        let ask = Ask::new(Method::GET, place.clone(), &self.repository.scope("pull,push"));
        let Ok(found) = self.repository.ask(self.host, &ask).await else { return };
        if !found.status().is_success() {
            return;
        }
        // `0-N` are the first N + 1 bytes; of none there is no good form, and hosts write `0-0`.
        let last: Option<u64> =
            header(found.headers(), RANGE.as_str()).and_then(|range| range.strip_prefix("0-")?.parse().ok());
        let held = last.map_or(0, |last| if last == 0 { 0 } else { last + 1 });
        if held > self.target.size || held < self.done && last == Some(0) && self.done > 1 {
            return;
        }
        self.done = held;
        self.place = Some(place);
        // A place of its own for what follows, perhaps.
        let _ = self.take_place(found.headers());
    }

    fn ask(&self, method: Method, place: String, from: u64, length: u64) -> Ask {
        let mut ask = Ask::new(method, place, &self.repository.scope("pull,push"));
        if length > 0 {
            ask.headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
            ask.payload = Payload::Stream { from, length, make: self.source.clone() };
        }
        ask
    }

    fn base(&self) -> String {
        self.host.path_of(self.repository.reference.path(), "blobs/uploads/")
    }

    fn take_place(&mut self, headers: &HeaderMap) -> Result<()> {
        if let Some(location) = header(headers, LOCATION.as_str()) {
            self.place = Some(absolute(self.host, &self.base(), location)?);
        }
        Ok(())
    }
}

/// A place to upload to, as a path at the host or, elsewhere, as a URL.
pub(crate) fn absolute(host: &Host, base: &str, location: &str) -> Result<String> {
    if location.contains("://") {
        // The host's own name: then its own headers and scheme hold.
        let rest = location.split_once("://").map_or("", |(_, rest)| rest);
        return Ok(match rest.strip_prefix(&host.authority) {
            Some(path) if path.starts_with('/') => path.to_owned(),
            _ => location.to_owned(),
        });
    }
    let here = format!("http://{}{base}", host.authority)
        .parse()
        .map_err(|cause| Error::internal("cannot name upload").with_source(cause))?;
    let uri = join_url(&here, location)?;
    Ok(uri.path_and_query().map(ToString::to_string).unwrap_or_default())
}
