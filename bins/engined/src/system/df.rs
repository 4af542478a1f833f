//! What takes how much space.

use std::sync::Arc;

use engine_api::system::DiskUsage;
use errdefs::Result;

use crate::containers::list;
use crate::engine::Engine;
use crate::filters::Filters;

/// `GET /system/df`; `kinds` are `container`, `image`, `volume`, `build-cache`, none for all.
///
/// # Errors
/// The supervisor does not answer.
pub async fn usage(engine: &Arc<Engine>, kinds: &[String]) -> Result<DiskUsage> {
    let is_asked = |kind: &str| kinds.is_empty() || kinds.iter().any(|asked| asked == kind);
    let mut usage = DiskUsage::default();
    if is_asked("image") {
        let wish = crate::images::list::Wish { shared_size: true, ..Default::default() };
        let mut images = crate::images::list::list(engine, &Filters::default(), wish).await?;
        for image in &mut images {
            image.containers = engine
                .containers
                .all()
                .iter()
                .filter(|container| container.record().image_id == image.id)
                .count() as i64;
        }
        usage.layers_size = crate::images::list::layers_size(engine).await?;
        usage.images = Some(images);
    }
    if is_asked("container") {
        usage.containers = Some(
            list::list(engine, list::Wish { all: true, with_size: true, ..list::Wish::default() }).await?,
        );
    }
    if is_asked("volume") {
        let engine = engine.clone();
        usage.volumes = tokio::task::spawn_blocking(move || crate::volumes::usage(&engine)).await.ok();
    }
    if is_asked("build-cache") {
        usage.build_cache = Some(Vec::new());
    }
    Ok(usage)
}
