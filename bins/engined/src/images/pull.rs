//! Pulling: the supervisor fetches and unpacks, we tell of it.

use std::collections::BTreeMap;
use std::sync::Arc;

use containerd_api::services::transfer::v1::{TransferOptions, TransferRequest};
use containerd_api::types::Platform;
use containerd_api::types::transfer::{
    AuthRequest, AuthResponse, ImageStore, OciRegistry, RegistryResolver, UnpackConfiguration,
};
use containerd_api::{Any, pack, unpack};
use engine_api::auth::AuthConfig;
use errdefs::{Error, Result};
use reference::Reference;

use super::progress::{Direction, Report, Seen, follow};
use super::resolve::architecture;
use crate::engine::Engine;

/// What to pull.
pub struct Wish {
    pub name: Reference,
    pub platform: Platform,
    pub auth: AuthConfig,
}

impl Wish {
    /// Reads Docker's parameters.
    ///
    /// # Errors
    /// One of them is malformed.
    pub fn parse(image: &str, tag: &str, platform: &str, auth: AuthConfig) -> Result<Wish> {
        let bad = |cause: reference::ParseError| Error::invalid_argument(cause.to_string());
        let text = match tag {
            "" => image.to_owned(),
            digest if digest.contains(':') => format!("{image}@{digest}"),
            tag => format!("{image}:{tag}"),
        };
        // A bare name means all tags: clients that mean the latest say so.
        let name = Reference::parse_normalized(&text).map_err(bad)?;
        Ok(Wish { name, platform: parse_platform(platform)?, auth })
    }

    fn is_for_all_tags(&self) -> bool {
        self.name.tag().is_none() && self.name.digest().is_none()
    }
}

/// Pulls what is wished for: one image, or every tag of a repository.
///
/// # Errors
/// As [`pull_one`], and the list of tags cannot be had.
pub async fn pull(engine: Arc<Engine>, wish: Wish, report: Report) -> Result<()> {
    if !wish.is_for_all_tags() {
        return pull_one(&engine, &wish, &report).await;
    }
    let tags = super::registry::tags(&engine, &wish.name, &wish.auth).await;
    for tag in tags.map_err(|error| pull_error(&wish.name, error))? {
        // A tag that no name may have cannot be asked for.
        let Ok(name) = wish.name.clone().with_tag(&tag) else { continue };
        let one = Wish { name, platform: wish.platform.clone(), auth: wish.auth.clone() };
        pull_one(&engine, &one, &report).await?;
    }
    Ok(())
}

/// `linux/arm64/v8`; empty is the host's.
///
/// # Errors
/// It has too many parts or an empty one.
pub fn parse_platform(text: &str) -> Result<Platform> {
    let parts: Vec<&str> = text.split('/').collect();
    let (os, arch, variant) = match parts[..] {
        [""] => ("linux", architecture(), ""),
        [os @ ("linux" | "windows")] => (os, architecture(), ""),
        [arch] => ("linux", arch, ""),
        [os, arch] => (os, arch, ""),
        [os, arch, variant] => (os, arch, variant),
        _ => return Err(Error::invalid_argument(format!("invalid platform {text:?}"))),
    };
    let arch = match arch {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    };
    Ok(Platform { os: os.into(), architecture: arch.into(), variant: variant.into(), ..Platform::default() })
}

/// Pulls one image.
///
/// # Errors
/// The registry cannot be reached, refuses, or does not have it.
async fn pull_one(engine: &Arc<Engine>, wish: &Wish, report: &Report) -> Result<()> {
    let name = &wish.name;
    let shown =
        name.tag().map_or_else(|| name.digest().map(ToString::to_string).unwrap_or_default(), str::to_owned);
    report.heading(&shown, &format!("Pulling from {}", short_repository(name)));
    let before =
        engine.images.records(engine).await?.iter().find(|record| record.name == name.canonical()).cloned();
    let store = ImageStore {
        name: name.canonical(),
        platforms: vec![wish.platform.clone()],
        unpacks: vec![UnpackConfiguration {
            platform: Some(wish.platform.clone()),
            snapshotter: engine.supervisor.snapshotter.clone(),
        }],
        ..ImageStore::default()
    };
    let source = registry(engine, name, &wish.auth).await?;
    let held = super::displaced::hold_name(engine, &name.canonical()).await?;
    let seen = transfer(engine, pack(&source.0), pack(&store), source.1, report, Direction::Pull).await;
    seen.map_err(|error| match is_about_platform(&error) {
        true => Error::not_found(format!(
            "no matching manifest for {}/{} in the manifest list entries",
            wish.platform.os, wish.platform.architecture
        ))
        .with_source(error),
        false => pull_error(name, error),
    })?;
    super::displaced::settle(held).await?;
    let record =
        engine.images.records(engine).await?.iter().find(|record| record.name == name.canonical()).cloned();
    let digest =
        record.as_ref().map(|record| super::resolve::digest_of(record).to_owned()).unwrap_or_default();
    // Another platform of the same index may be here from now on.
    engine.images.forget(&digest);
    let is_same = before.as_ref().is_some_and(|before| super::resolve::digest_of(before) == digest);
    report.status(format!("Digest: {digest}")).await;
    let words = if is_same { "Image is up to date for" } else { "Downloaded newer image for" };
    report.status(format!("Status: {words} {}", name.familiar())).await;
    let attributes = BTreeMap::from([("name".to_owned(), name.familiar())]);
    engine.events.tell("image", "pull", &name.familiar(), attributes);
    Ok(())
}

/// The supervisor has no other way to tell it from an absent image.
fn is_about_platform(error: &Error) -> bool {
    error.kind() == errdefs::Kind::NotFound && error.chain().contains("no match for platform")
}

/// The path as Docker prints it: `library/busybox`, `team/app`.
fn short_repository(name: &Reference) -> String {
    name.path().to_owned()
}

/// Docker's texts for what a registry does not have or does not give.
fn pull_error(name: &Reference, error: Error) -> Error {
    let text = error.chain();
    let shown = name.familiar();
    if error.kind() == errdefs::Kind::NotFound || text.contains("not found") {
        return Error::not_found(format!(
            "manifest for {shown} not found: manifest unknown: manifest unknown"
        ))
        .with_source(error);
    }
    if text.contains("401")
        || text.to_lowercase().contains("unauthorized")
        || text.contains("authorization failed")
    {
        return Error::not_found(format!(
            "pull access denied for {}, repository does not exist or may require 'docker login'",
            name.familiar_name()
        ))
        .with_source(error);
    }
    error
}

/// How the supervisor reaches a registry: credentials go over a stream of their own, plain HTTP
/// where it is allowed, mirrors by a hosts directory.
///
/// # Errors
/// The stream for credentials cannot be opened.
pub async fn registry(
    engine: &Arc<Engine>,
    name: &Reference,
    auth: &AuthConfig,
) -> Result<(OciRegistry, Option<tokio::task::JoinHandle<()>>)> {
    let mut resolver = RegistryResolver {
        host_dir: crate::system::registries::hosts_directory(engine, name.domain())?,
        ..RegistryResolver::default()
    };
    let mut serving = None;
    if *auth != AuthConfig::default() {
        let mut stream = engine.supervisor.open_stream("auth").await?;
        resolver.auth_stream.clone_from(&stream.id);
        let auth = auth.clone();
        serving = Some(tokio::spawn(async move {
            while let Some(message) = stream.next().await {
                if unpack::<AuthRequest>(&message).is_ok() && !stream.answer(pack(&credentials(&auth))).await
                {
                    return;
                }
            }
        }));
    }
    Ok((OciRegistry { reference: name.canonical(), resolver: Some(resolver) }, serving))
}

fn credentials(auth: &AuthConfig) -> AuthResponse {
    if !auth.identity_token.is_empty() {
        return AuthResponse { auth_type: 2, secret: auth.identity_token.clone(), ..AuthResponse::default() };
    }
    if !auth.registry_token.is_empty() {
        return AuthResponse {
            auth_type: 3,
            secret: format!("Bearer {}", auth.registry_token),
            ..AuthResponse::default()
        };
    }
    AuthResponse {
        auth_type: 1,
        username: auth.username.clone(),
        secret: auth.password.clone(),
        ..AuthResponse::default()
    }
}

/// Runs one transfer to its end, telling its progress.
///
/// # Errors
/// The supervisor's own.
pub async fn transfer(
    engine: &Arc<Engine>,
    source: Any,
    destination: Any,
    serving: Option<tokio::task::JoinHandle<()>>,
    report: &Report,
    direction: Direction,
) -> Result<Seen> {
    let stream = engine.supervisor.open_stream("progress").await?;
    let options = TransferOptions { progress_stream: stream.id.clone() };
    let request =
        TransferRequest { source: Some(source), destination: Some(destination), options: Some(options) };
    let mut client = engine.supervisor.transfer();
    let following = tokio::spawn(follow(stream, report.clone(), direction));
    let result = client.transfer(request).await;
    engine.images.stored.changed();
    if let Some(serving) = serving {
        serving.abort();
    }
    match result {
        Ok(_) => Ok(following.await.unwrap_or_default()),
        Err(status) => {
            following.abort();
            // It says itself what was done to which image.
            Err(status.into())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_become_a_name() {
        let name = |image: &str, tag: &str| {
            Wish::parse(image, tag, "", AuthConfig::default()).map(|wish| wish.name.canonical())
        };
        assert_eq!(name("busybox", "latest").unwrap(), "docker.io/library/busybox:latest");
        assert!(Wish::parse("busybox", "", "", AuthConfig::default()).unwrap().is_for_all_tags());
        assert_eq!(name("localhost:5000/a", "1").unwrap(), "localhost:5000/a:1");
        let digest = format!("sha256:{}", "a".repeat(64));
        assert_eq!(name("busybox", &digest).unwrap(), format!("docker.io/library/busybox@{digest}"));
        assert!(name("UPPER", "").is_err());
    }

    #[test]
    fn platforms_are_read() {
        assert_eq!(parse_platform("linux/arm64/v8").unwrap().variant, "v8");
        assert_eq!(parse_platform("").unwrap().architecture, architecture());
        assert!(parse_platform("a/b/c/d").is_err());
    }
}
