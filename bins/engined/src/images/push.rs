//! Pushing.

use std::collections::BTreeMap;
use std::sync::Arc;

use containerd_api::pack;
use containerd_api::types::transfer::ImageStore;
use engine_api::auth::AuthConfig;
use engine_api::progress::{Aux, Message};
use errdefs::{Error, Result};
use reference::Reference;

use super::progress::{Direction, Report};
use crate::engine::Engine;

/// Pushes one name.
///
/// # Errors
/// The image is not there, or the registry refuses.
pub async fn push(
    engine: Arc<Engine>,
    typed: String,
    tag: String,
    auth: AuthConfig,
    report: Report,
) -> Result<()> {
    let bad = |cause: reference::ParseError| Error::invalid_argument(cause.to_string());
    let mut name = Reference::parse_normalized(&typed).map_err(bad)?;
    if !tag.is_empty() {
        name = name.with_tag(&tag).map_err(bad)?;
    }
    let name = name.with_default_tag();
    let (record, image) = engine.images.find_record(&engine, &name.familiar()).await.map_err(|_| {
        Error::not_found(format!("An image does not exist locally with the tag: {}", name.familiar_name()))
    })?;
    report.status(format!("The push refers to repository [{}]", name.name())).await;
    let store = ImageStore { name: record.name.clone(), ..ImageStore::default() };
    let (registry, serving) = super::pull::registry(&engine, &name, &auth).await?;
    super::pull::transfer(&engine, pack(&store), pack(&registry), serving, &report, Direction::Push).await?;
    let target = record.target.unwrap_or_default();
    let tag = name.tag().unwrap_or_default().to_owned();
    report.status(format!("{tag}: digest: {} size: {}", target.digest, target.size)).await;
    let aux = Aux { tag, digest: target.digest, size: target.size, ..Aux::default() };
    report.send(&Message { aux: Some(aux), ..Message::default() }).await;
    engine.events.tell("image", "push", &image.id, BTreeMap::from([("name".to_owned(), name.familiar())]));
    Ok(())
}
