//! Tags to digests, digests to manifests.

use bytes::Bytes;
use errdefs::{Error, Kind, Result};
use http::header::{ACCEPT, CONTENT_LENGTH, CONTENT_TYPE};
use http::{HeaderValue, Method};
use reference::Digest;
use sha2::{Digest as _, Sha256, Sha384, Sha512};

use crate::host::Host;
use crate::repository::Repository;
use crate::request::Ask;
use crate::response::{error_of, header, read_body};
use crate::{MANIFEST_LIMIT, Target};

/// Kinds of manifest that we take, best first.
const ACCEPTED: &str = "application/vnd.oci.image.index.v1+json, application/vnd.oci.image.manifest.v1+json, \
     application/vnd.docker.distribution.manifest.list.v2+json, \
     application/vnd.docker.distribution.manifest.v2+json, */*";

impl Repository {
    /// What the reference's tag or digest stands for, from the first host that knows.
    ///
    /// # Errors
    /// The errors of all hosts together; NotFound when none has it.
    pub async fn resolve(&self) -> Result<Target> {
        let object = match (self.reference.digest(), self.reference.tag()) {
            (Some(digest), _) => digest.as_str().to_owned(),
            (None, Some(tag)) => tag.to_owned(),
            (None, None) => reference::DEFAULT_TAG.to_owned(),
        };
        let hosts = self.hosts.iter().filter(|host| host.capabilities.resolve);
        let mut failures = Failures::default();
        for host in hosts {
            match self.resolve_at(host, &object).await {
                Ok(target) => return Ok(target),
                Err(error) => failures.add(host, error),
            }
        }
        Err(failures.into_error(
            &format!("failed to resolve reference {:?}", self.reference.canonical()),
            &self.reference.canonical(),
        ))
    }

    async fn resolve_at(&self, host: &Host, object: &str) -> Result<Target> {
        let path = host.path_of(self.reference.path(), &format!("manifests/{object}"));
        let mut ask = Ask::new(Method::HEAD, path.clone(), &self.scope("pull"));
        ask.headers.insert(ACCEPT, HeaderValue::from_static(ACCEPTED));
        let response = self.ask(host, &ask).await?;
        let told = response.status().is_success().then(|| {
            let headers = response.headers();
            let digest = header(headers, "docker-content-digest").and_then(|text| Digest::parse(text).ok());
            let size = header(headers, CONTENT_LENGTH.as_str()).and_then(|text| text.parse::<u64>().ok());
            (media_type(header(headers, CONTENT_TYPE.as_str())), digest, size.filter(|size| *size > 0))
        });
        let (media_type, digest, size) = match told {
            Some((Some(media_type), Some(digest), Some(size))) => (media_type, digest, size),
            // A HEAD has no body that could say what is wrong, and some hosts tell no digest.
            _ => {
                ask.method = Method::GET;
                let response = self.ask(host, &ask).await?;
                if !response.status().is_success() {
                    return Err(error_of(
                        &format!("cannot get manifest {object} at {}", host.authority),
                        response,
                    )
                    .await);
                }
                let media_type =
                    media_type(header(response.headers(), CONTENT_TYPE.as_str())).unwrap_or_default();
                let body = read_body(response, MANIFEST_LIMIT).await?;
                (media_type, digest_of("sha256", &body)?, body.len() as u64)
            }
        };
        if let Some(wanted) = self.reference.digest()
            && *wanted != digest
            && wanted.algorithm() == digest.algorithm()
        {
            return Err(Error::failed_precondition(format!(
                "host answered with digest {digest}, not {wanted}"
            )));
        }
        if size > MANIFEST_LIMIT {
            return Err(too_large(size));
        }
        let digest = self.reference.digest().cloned().unwrap_or(digest);
        Ok(Target { media_type, digest, size, urls: Vec::new() })
    }

    /// The bytes of a manifest, an index or another small document, their digest verified.
    ///
    /// # Errors
    /// ResourceExhausted when it is larger than [`MANIFEST_LIMIT`], FailedPrecondition when the bytes
    /// are others than asked for, and as [`Repository::resolve`].
    pub async fn fetch_manifest(&self, target: &Target) -> Result<Bytes> {
        if target.size > MANIFEST_LIMIT {
            return Err(too_large(target.size));
        }
        let mut failures = Failures::default();
        for host in self.hosts.iter().filter(|host| host.capabilities.pull) {
            let path = host.path_of(self.reference.path(), &format!("manifests/{}", target.digest));
            let mut ask = Ask::new(Method::GET, path, &self.scope("pull"));
            let accept = format!("{}, */*", target.media_type);
            if let Ok(accept) = HeaderValue::from_str(&accept) {
                ask.headers.insert(ACCEPT, accept);
            }
            match self.manifest_at(host, &ask, target).await {
                Ok(body) => return Ok(body),
                Err(error) => failures.add(host, error),
            }
        }
        Err(failures.into_error("failed to fetch manifest", target.digest.as_str()))
    }

    async fn manifest_at(&self, host: &Host, ask: &Ask, target: &Target) -> Result<Bytes> {
        let response = self.ask(host, ask).await?;
        if !response.status().is_success() {
            return Err(error_of(&format!("cannot get manifest at {}", host.authority), response).await);
        }
        let body = read_body(response, MANIFEST_LIMIT).await?;
        let found = digest_of(target.digest.algorithm(), &body)?;
        if found != target.digest {
            return Err(Error::failed_precondition(format!(
                "unexpected commit digest {found}, expected {}",
                target.digest
            )));
        }
        Ok(body)
    }
}

fn too_large(size: u64) -> Error {
    Error::new(
        Kind::ResourceExhausted,
        format!("manifest of {size} bytes is larger than the limit of {MANIFEST_LIMIT}"),
    )
}

/// A media type without its parameters.
fn media_type(value: Option<&str>) -> Option<String> {
    let text = value?.split(';').next()?.trim();
    (!text.is_empty()).then(|| text.to_owned())
}

pub(crate) fn digest_of(algorithm: &str, bytes: &[u8]) -> Result<Digest> {
    let hex = match algorithm {
        "sha256" => hex::encode(Sha256::digest(bytes)),
        "sha384" => hex::encode(Sha384::digest(bytes)),
        "sha512" => hex::encode(Sha512::digest(bytes)),
        other => return Err(Error::unimplemented(format!("unsupported digest algorithm {other}"))),
    };
    Digest::parse(&format!("{algorithm}:{hex}"))
        .map_err(|cause| Error::internal("cannot name digest").with_source(cause))
}

/// What each host said: a person sees all of it, not the last alone.
#[derive(Default)]
pub(crate) struct Failures(Vec<(String, Error)>);

impl Failures {
    pub(crate) fn add(&mut self, host: &Host, error: Error) {
        self.0.push((host.authority.clone(), error));
    }

    pub(crate) fn into_error(self, what: &str, object: &str) -> Error {
        let Some((_, first)) = self.0.first() else {
            return Error::not_found(format!("{what}: no host may be asked for it"));
        };
        if self.0.iter().all(|(_, error)| error.kind() == Kind::NotFound) {
            return Error::not_found(format!("{what}: {object}: not found"));
        }
        let telling =
            self.0.iter().find(|(_, error)| error.kind() != Kind::NotFound).map_or(first, |(_, error)| error);
        let (kind, hint) = (telling.kind(), telling.hint().map(str::to_owned));
        let denied = matches!(kind, Kind::Unauthenticated | Kind::PermissionDenied);
        let texts: Vec<String> = self.0.iter().map(|(_, error)| error.chain()).collect();
        let lead = if denied {
            format!("{what}: pull access denied, repository does not exist or may require authorization")
        } else {
            what.to_owned()
        };
        let error = Error::new(kind, format!("{lead}: {}", texts.join("; ")));
        match hint {
            Some(hint) => error.with_hint(hint),
            None => error,
        }
    }
}
