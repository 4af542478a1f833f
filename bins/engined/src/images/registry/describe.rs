//! What a registry has under a name, without pulling it.

use distribution::Target;
use engine_api::auth::AuthConfig;
use engine_api::image::{Described, Descriptor, Platform};
use errdefs::{Error, Kind, Result};
use reference::{Digest, Reference};
use serde::Deserialize;

use crate::engine::Engine;

/// An index or a manifest: which one, its fields say.
#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct Either {
    manifests: Vec<Child>,
    config: Option<Config>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Child {
    platform: Option<Platform>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct Config {
    media_type: String,
    digest: String,
    size: u64,
}

/// `GET /distribution/{name}/json`.
///
/// # Errors
/// The registry cannot be reached, refuses, or does not have it.
pub async fn describe(engine: &Engine, typed: &str, auth: &AuthConfig) -> Result<Described> {
    let name = Reference::parse_normalized(typed).map_err(super::bad_name)?.with_default_tag();
    let repository = super::repository(engine, &name, auth)?;
    let target = repository.resolve().await.map_err(|error| told(&name, error))?;
    let bytes = repository.fetch_manifest(&target).await.map_err(|error| told(&name, error))?;
    let either: Either = serde_json::from_slice(&bytes).map_err(|cause| {
        Error::invalid_argument(format!("cannot read the manifest of {typed}")).with_source(cause)
    })?;
    let platforms = match either.config {
        Some(config) => vec![of_config(&repository, config).await?],
        None => either.manifests.into_iter().filter_map(|child| child.platform).collect(),
    };
    let descriptor = Descriptor {
        media_type: target.media_type,
        digest: target.digest.to_string(),
        size: i64::try_from(bytes.len()).unwrap_or(i64::MAX),
        ..Descriptor::default()
    };
    Ok(Described { descriptor, platforms })
}

/// Docker answers 401 to whoever may not see a repository, whether there is one or not.
fn told(name: &Reference, error: Error) -> Error {
    match error.kind() {
        Kind::Unauthenticated | Kind::PermissionDenied => Error::new(
            Kind::Unauthenticated,
            format!(
                "denied: requested access to {} is denied, or the repository does not exist",
                name.familiar_name()
            ),
        )
        .with_source(error),
        Kind::NotFound => Error::not_found(format!("manifest unknown: no manifest for {}", name.familiar()))
            .with_source(error),
        _ => error,
    }
}

async fn of_config(repository: &distribution::Repository, config: Config) -> Result<Platform> {
    let bad = |cause| Error::invalid_argument("cannot read the manifest").with_source(cause);
    let target = Target {
        digest: Digest::parse(&config.digest).map_err(bad)?,
        media_type: config.media_type,
        size: config.size.min(distribution::MANIFEST_LIMIT),
        urls: Vec::new(),
    };
    let mut blob = repository.fetch_blob(&target, 0).await?;
    let mut bytes = Vec::new();
    while let Some(chunk) = blob.chunk().await? {
        bytes.extend_from_slice(&chunk);
    }
    // An artefact's config may be anything: then there is no platform to tell of.
    Ok(serde_json::from_slice(&bytes).unwrap_or_default())
}
