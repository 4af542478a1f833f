//! One more name for an image.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use containerd_api::services::images::v1::{CreateImageRequest, Image as StoredImage, UpdateImageRequest};
use containerd_api::types::Descriptor;
use errdefs::{Error, Result};
use reference::Reference;

use crate::engine::Engine;
use crate::supervisor::failed;

/// Names an image; a name that points elsewhere is moved.
///
/// # Errors
/// The image is not there, or the name is malformed.
pub async fn tag(engine: &Arc<Engine>, typed: &str, repository: &str, tag: &str) -> Result<()> {
    let (record, image) = engine.images.find_record(engine, typed).await?;
    let bad = |cause: reference::ParseError| Error::invalid_argument(cause.to_string());
    let mut name = Reference::parse_normalized(repository).map_err(bad)?;
    if name.digest().is_some() {
        return Err(Error::invalid_argument("refusing to create a tag with a digest reference"));
    }
    if !tag.is_empty() {
        name = name.with_tag(tag).map_err(bad)?;
    }
    let name = name.with_default_tag();
    put(engine, &name.canonical(), record.target.unwrap_or_default(), record.labels).await?;
    let attributes = BTreeMap::from([("name".to_owned(), name.familiar())]);
    engine.events.tell("image", "tag", &image.id, attributes);
    Ok(())
}

/// Makes a record with labels point at content. What it pointed at before stays as an image without a name.
///
/// # Errors
/// The supervisor refuses.
pub async fn put(
    engine: &Arc<Engine>,
    name: &str,
    target: Descriptor,
    labels: HashMap<String, String>,
) -> Result<()> {
    let mut images = engine.supervisor.images();
    let image = StoredImage { name: name.to_owned(), target: Some(target), labels, ..StoredImage::default() };
    let created =
        images.create(CreateImageRequest { image: Some(image.clone()), source_date_epoch: None }).await;
    engine.images.stored.changed();
    match created {
        Ok(_) => Ok(()),
        Err(status) if status.code() == tonic::Code::AlreadyExists => {
            let held = super::displaced::hold_name(engine, name).await?;
            let moved = images.update(UpdateImageRequest { image: Some(image), ..Default::default() }).await;
            engine.images.stored.changed();
            moved.map_err(failed("tag an image"))?;
            super::displaced::settle(held).await
        }
        Err(status) => Err(failed("tag an image")(status)),
    }
}
