//! Registries, with the credentials of the configuration.

use std::pin::Pin;
use std::sync::Arc;

use distribution::{Credential, HostsConfig, Limits, Proxies, Repository, Target, Transport};
use engine_api::image::{Descriptor, Platform};
use engine_client::{ConfigFile, Credentials, registry_server};
use reference::Reference;
use serde_json::Value;

use super::store::{Entry, is_list};
use crate::grammar::Failure;
use crate::session::Session;

/// What the configuration knows of one registry; it is told to that registry alone.
struct Known(Credential);

impl distribution::Credentials for Known {
    fn credential<'a>(
        &'a self,
        _: &'a str,
        _: &'a [String],
    ) -> Pin<Box<dyn Future<Output = errdefs::Result<Credential>> + Send + 'a>> {
        Box::pin(async { Ok(self.0.clone()) })
    }
}

/// The repository of a name.
///
/// # Errors
/// The credentials cannot be had, or the environment's proxies are none.
pub fn repository(session: &Session, name: &Reference, insecure: bool) -> Result<Repository, Failure> {
    let insecure = if insecure { vec![name.domain().to_owned()] } else { Vec::new() };
    let config =
        HostsConfig { directories: vec!["/etc/docker/certs.d".into()], insecure, ..HostsConfig::default() };
    let hosts = config.hosts(name.domain()).map_err(|error| failure(&error))?;
    let proxies = Proxies::from_environment().map_err(|error| failure(&error))?;
    let known = Arc::new(Known(credential(session.config.clone(), name.domain())?));
    Ok(Repository::new(name.clone(), hosts, Arc::new(Transport::new(proxies)), known, Limits::default()))
}

fn credential(mut config: ConfigFile, domain: &str) -> Result<Credential, Failure> {
    let auth = Credentials::new(&mut config).get(registry_server(domain))?;
    Ok(match (auth.identity_token.is_empty(), auth.username.is_empty()) {
        (false, _) => Credential::Refresh { secret: auth.identity_token },
        (true, false) => Credential::Basic { username: auth.username, secret: auth.password },
        (true, true) => Credential::None,
    })
}

/// An error of a registry in words.
pub fn failure(error: &errdefs::Error) -> Failure {
    Failure::new(error.chain())
}

/// A manifest from its registry: its bytes, and the descriptor that names them.
///
/// # Errors
/// As the registry says.
pub async fn fetch(repository: &Repository) -> Result<(Target, Vec<u8>), Failure> {
    let target = repository.resolve().await.map_err(|error| match error.kind() {
        errdefs::Kind::NotFound => {
            Failure::new(format!("no such manifest: {}", repository.reference().canonical()))
        }
        _ => failure(&error),
    })?;
    let bytes = repository.fetch_manifest(&target).await.map_err(|error| failure(&error))?;
    Ok((target, bytes.to_vec()))
}

/// A manifest as an entry of a list, with the platform that its configuration names.
///
/// # Errors
/// As the registry says, or the name is a list's.
pub async fn entry(session: &Session, name: &Reference, insecure: bool) -> Result<Entry, Failure> {
    let repository = repository(session, name, insecure)?;
    let (target, bytes) = fetch(&repository).await?;
    if is_list(&target.media_type) {
        return Err(Failure::new(format!("{} is a manifest list", name.canonical())));
    }
    let raw =
        String::from_utf8(bytes).map_err(|_| Failure::new("cannot read the manifest: it is no text"))?;
    let manifest: Value = serde_json::from_str(&raw)?;
    let mut descriptor = described(&target);
    descriptor.platform = Some(platform_of(&repository, &manifest).await?);
    Ok(Entry { reference: name.canonical(), descriptor, raw, manifest })
}

/// A target as the Engine API describes content.
pub fn described(target: &Target) -> Descriptor {
    Descriptor {
        media_type: target.media_type.clone(),
        digest: target.digest.to_string(),
        size: i64::try_from(target.size).unwrap_or(i64::MAX),
        ..Descriptor::default()
    }
}

async fn platform_of(repository: &Repository, manifest: &Value) -> Result<Platform, Failure> {
    let config = target_of(&manifest["config"])?;
    let mut blob = repository.fetch_blob(&config, 0).await.map_err(|error| failure(&error))?;
    let mut bytes = Vec::new();
    while let Some(chunk) = blob.chunk().await.map_err(|error| failure(&error))? {
        bytes.extend_from_slice(&chunk);
    }
    Ok(serde_json::from_slice(&bytes)?)
}

/// Reads a descriptor out of a manifest.
///
/// # Errors
/// It has no digest.
pub fn target_of(descriptor: &Value) -> Result<Target, Failure> {
    let text = |key: &str| descriptor[key].as_str().unwrap_or_default();
    let digest = reference::Digest::parse(text("digest"))
        .map_err(|error| Failure::new(format!("cannot read the manifest: {error}")))?;
    Ok(Target {
        media_type: text("mediaType").to_owned(),
        digest,
        size: descriptor["size"].as_u64().unwrap_or(0),
        urls: Vec::new(),
    })
}
