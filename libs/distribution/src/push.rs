//! Blobs and manifests to a registry.

use std::sync::Arc;

use bytes::Bytes;
use errdefs::{Error, Kind, Result};
use http::header::{CONTENT_TYPE, LOCATION};
use http::{HeaderValue, Method, StatusCode};

use crate::Target;
use crate::host::{Host, encode};
use crate::repository::Repository;
use crate::request::{Ask, Body, Payload};
use crate::response::{error_of, header};
use crate::upload::{Upload, absolute};

/// Makes the bytes of a blob from an offset on, as many as the second number says; anew for each try.
pub type BlobSource = Arc<dyn Fn(u64, u64) -> Body + Send + Sync>;

/// How a blob came to be there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pushed {
    /// It was there.
    Present,
    /// Taken from another repository of the same registry.
    Mounted,
    Uploaded,
}

impl Repository {
    fn push_host(&self) -> Result<&Host> {
        self.hosts.iter().find(|host| host.capabilities.push).ok_or_else(|| {
            Error::failed_precondition(format!("no host of {} takes pushes", self.reference.domain()))
        })
    }

    /// Brings a blob to the registry: nothing is sent when it is there, or can be had from one of the
    /// repositories `from` of the same registry.
    ///
    /// # Errors
    /// As the registry says.
    pub async fn push_blob(&self, target: &Target, source: &BlobSource, from: &[String]) -> Result<Pushed> {
        let host = self.push_host()?;
        let path = host.path_of(self.reference.path(), &format!("blobs/{}", target.digest));
        if self.is_there(host, path).await? {
            return Ok(Pushed::Present);
        }
        for repository in from.iter().filter(|repository| repository.as_str() != self.reference.path()) {
            if let Some(()) = self.mount(host, target, repository).await? {
                return Ok(Pushed::Mounted);
            }
        }
        Upload::new(self, host, target, source).run().await?;
        Ok(Pushed::Uploaded)
    }

    /// Brings a manifest or index to the registry, under the reference's tag when `tagged`.
    ///
    /// # Errors
    /// As the registry says.
    pub async fn push_manifest(&self, target: &Target, bytes: Bytes, tagged: bool) -> Result<Pushed> {
        let host = self.push_host()?;
        let tag = self.reference.tag().filter(|_| tagged);
        let object = tag.unwrap_or(target.digest.as_str());
        let path = host.path_of(self.reference.path(), &format!("manifests/{object}"));
        if tag.is_none() && self.is_there(host, path.clone()).await? {
            return Ok(Pushed::Present);
        }
        let mut ask = Ask::new(Method::PUT, path, &self.scope("pull,push"));
        let media_type = HeaderValue::from_str(&target.media_type).map_err(|_| {
            Error::invalid_argument(format!("media type {:?} is malformed", target.media_type))
        })?;
        ask.headers.insert(CONTENT_TYPE, media_type);
        ask.payload = Payload::Bytes(bytes);
        let response = self.ask(host, &ask).await?;
        if !response.status().is_success() {
            return Err(denied(error_of(&format!("failed to push manifest {object}"), response).await));
        }
        let told = header(response.headers(), "docker-content-digest").map(str::to_owned);
        match told {
            Some(told) if told != target.digest.as_str() => Err(Error::failed_precondition(format!(
                "registry stored digest {told}, not {}",
                target.digest
            ))),
            _ => Ok(Pushed::Uploaded),
        }
    }

    async fn is_there(&self, host: &Host, path: String) -> Result<bool> {
        let response = self.ask(host, &Ask::new(Method::HEAD, path, &self.scope("pull,push"))).await?;
        match response.status() {
            status if status.is_success() => Ok(true),
            StatusCode::NOT_FOUND => Ok(false),
            _ => Err(denied(error_of("failed to look for content at the registry", response).await)),
        }
    }

    /// Cross-repository mount; `None` when the registry opened an upload instead, or may not read there.
    async fn mount(&self, host: &Host, target: &Target, from: &str) -> Result<Option<()>> {
        let what = format!("blobs/uploads/?mount={}&from={}", encode(target.digest.as_str()), encode(from));
        let mut ask =
            Ask::new(Method::POST, host.path_of(self.reference.path(), &what), &self.scope("pull,push"));
        ask.scopes.push(format!("repository:{from}:pull"));
        let response = match self.ask(host, &ask).await {
            Ok(response) => response,
            // A token server may refuse the other repository: then the blob is uploaded.
            Err(error)
                if matches!(
                    error.kind(),
                    Kind::Unauthenticated | Kind::PermissionDenied | Kind::NotFound
                ) =>
            {
                return Ok(None);
            }
            Err(error) => return Err(error),
        };
        if response.status() == StatusCode::ACCEPTED {
            // It opened an upload that nobody will use.
            if let Some(location) = header(response.headers(), LOCATION.as_str()) {
                let base = format!("{}/{}/blobs/uploads/", host.path, self.reference.path());
                let cancel =
                    Ask::new(Method::DELETE, absolute(host, &base, location)?, &self.scope("pull,push"));
                let _ = self.ask(host, &cancel).await;
            }
        }
        Ok((response.status() == StatusCode::CREATED).then_some(()))
    }
}

pub(crate) fn denied(error: Error) -> Error {
    match error.kind() {
        kind @ (Kind::Unauthenticated | Kind::PermissionDenied) => Error::new(
            kind,
            format!(
                "push access denied, repository does not exist or may require authorization: {}",
                error.chain()
            ),
        )
        .with_hint("log in to the registry"),
        _ => error,
    }
}
