//! Everything about one image.

use std::sync::Arc;

use engine_api::container::GraphDriver;
use engine_api::image::{ImageInspect, Metadata, Platform, RootFs};
use errdefs::{Error, Result};

use crate::engine::Engine;
use crate::time::Time;

/// What of an image is wanted.
#[derive(Default)]
pub struct Wish {
    /// Of an image for several platforms the one for this.
    pub platform: Option<Platform>,
    /// All manifests besides.
    pub manifests: bool,
}

/// `GET /images/{name}/json`.
///
/// # Errors
/// The image is not there, or not for the platform.
pub async fn inspect(engine: &Arc<Engine>, typed: &str, wish: &Wish) -> Result<ImageInspect> {
    if wish.manifests && wish.platform.is_some() {
        return Err(Error::invalid_argument(
            "conflicting options: manifests and platform options cannot both be set",
        ));
    }
    let (record, image) = engine.images.find_for(engine, typed, wish.platform.as_ref()).await?;
    let descriptor = record.target.as_ref().map(super::manifests::descriptor_of);
    let manifests = match &descriptor {
        Some(target) if wish.manifests => super::manifests::summaries(engine, target).await?,
        _ => Vec::new(),
    };
    let named =
        super::list::named(engine).await?.into_iter().find(|named| named.records.contains(&record.name));
    let (tags, digests) = named.map(|named| (named.tags, named.digests)).unwrap_or_default();
    let document = &image.document;
    let size = engine.images.size_of_chain(engine, &image.chain_id).await?;
    let tagged = record.updated_at.as_ref().map(|stamp| Time::of(Some(stamp)).rfc3339()).unwrap_or_default();
    Ok(ImageInspect {
        id: image.id.clone(),
        parent: super::resolve::parent_of(&record),
        repo_tags: tags,
        repo_digests: digests,
        comment: document.comment.clone(),
        created: document.created.clone().unwrap_or_default(),
        docker_version: document.docker_version.clone(),
        author: document.author.clone(),
        config: Some(image.config.clone()),
        architecture: document.architecture.clone(),
        variant: document.variant.clone(),
        os: document.os.clone(),
        size,
        virtual_size: size,
        graph_driver: GraphDriver { name: "overlay2".into(), data: None },
        root_fs: RootFs { kind: "layers".into(), layers: document.rootfs.diff_ids.clone() },
        metadata: Metadata { last_tag_time: tagged },
        descriptor,
        manifests,
        ..ImageInspect::default()
    })
}
