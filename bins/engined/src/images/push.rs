//! Pushing.

use std::collections::BTreeMap;
use std::sync::Arc;

use containerd_api::pack;
use containerd_api::types::transfer::ImageStore;
use engine_api::auth::AuthConfig;
use engine_api::image::Platform;
use engine_api::progress::{Aux, Message};
use errdefs::{Error, Result};
use reference::Reference;

use super::progress::{Direction, Report};
use crate::engine::Engine;

/// What to push.
pub struct Wish {
    pub name: Reference,
    /// Of an image for several platforms this one alone.
    pub platform: Option<Platform>,
    pub auth: AuthConfig,
}

impl Wish {
    /// Reads Docker's parameters.
    ///
    /// # Errors
    /// One of them is malformed.
    pub fn parse(typed: &str, tag: &str, platform: &str, auth: AuthConfig) -> Result<Wish> {
        let bad = |cause: reference::ParseError| Error::invalid_argument(cause.to_string());
        let mut name = Reference::parse_normalized(typed).map_err(bad)?;
        if !tag.is_empty() {
            name = name.with_tag(tag).map_err(bad)?;
        }
        Ok(Wish { name, platform: super::platform::of_json(platform)?, auth })
    }
}

/// Pushes one name, or every tag of a repository when none is named.
///
/// # Errors
/// The image is not there, or the registry refuses.
pub async fn push(engine: Arc<Engine>, wish: Wish, report: Report) -> Result<()> {
    report.status(format!("The push refers to repository [{}]", wish.name.name())).await;
    if wish.name.tag().is_some() || wish.name.digest().is_some() {
        return push_one(&engine, &wish, &wish.name, &report).await;
    }
    let mut found = false;
    for record in engine.images.records(&engine).await?.iter() {
        let Ok(name) = Reference::parse_normalized(&record.name) else { continue };
        if name.name() == wish.name.name() && name.tag().is_some() && name.digest().is_none() {
            found = true;
            push_one(&engine, &wish, &name, &report).await?;
        }
    }
    if found { Ok(()) } else { Err(absent(&wish.name)) }
}

fn absent(name: &Reference) -> Error {
    Error::not_found(format!("An image does not exist locally with the tag: {}", name.familiar_name()))
}

async fn push_one(engine: &Arc<Engine>, wish: &Wish, name: &Reference, report: &Report) -> Result<()> {
    let found = engine.images.find_for(engine, &name.familiar(), wish.platform.as_ref()).await;
    let (record, image) = found.map_err(|error| match wish.platform {
        Some(_) => error,
        None => absent(name),
    })?;
    let platforms = wish.platform.iter().map(super::platform::to_supervisor).collect();
    let store = ImageStore { name: record.name.clone(), platforms, ..ImageStore::default() };
    let (registry, serving) = super::pull::registry(engine, name, &wish.auth).await?;
    let seen = super::pull::transfer(engine, pack(&store), pack(&registry), serving, report, Direction::Push)
        .await?;
    // One image of an index goes alone when the others are not here.
    let target = seen.pushed.or(record.target).unwrap_or_default();
    let tag = name.tag().unwrap_or_default().to_owned();
    report.status(format!("{tag}: digest: {} size: {}", target.digest, target.size)).await;
    let aux = Aux { tag, digest: target.digest, size: target.size, ..Aux::default() };
    report.send(&Message { aux: Some(aux), ..Message::default() }).await;
    engine.events.tell("image", "push", &image.id, BTreeMap::from([("name".to_owned(), name.familiar())]));
    Ok(())
}
