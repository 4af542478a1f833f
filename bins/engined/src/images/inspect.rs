//! Everything about one image.

use std::sync::Arc;

use engine_api::container::GraphDriver;
use engine_api::image::{ImageInspect, Metadata, RootFs};
use errdefs::Result;

use crate::engine::Engine;
use crate::time::Time;

/// `GET /images/{name}/json`.
///
/// # Errors
/// The image is not there.
pub async fn inspect(engine: &Arc<Engine>, typed: &str) -> Result<ImageInspect> {
    let (record, image) = engine.images.find_record(engine, typed).await?;
    let named = super::list::named(engine).await?.into_iter().find(|named| named.image.id == image.id);
    let (tags, digests) = named.map(|named| (named.tags, named.digests)).unwrap_or_default();
    let document = &image.document;
    let size = engine.images.size_of_chain(engine, &image.chain_id).await?;
    let tagged = record.updated_at.as_ref().map(|stamp| Time::of(Some(stamp)).rfc3339()).unwrap_or_default();
    Ok(ImageInspect {
        id: image.id.clone(),
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
        ..ImageInspect::default()
    })
}
