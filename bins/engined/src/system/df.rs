//! What takes how much space.

use std::sync::Arc;

use engine_api::container::Summary;
use engine_api::image::ImageSummary;
use engine_api::system::{BuildCacheUsage, ContainerUsage, DiskUsage, DiskUsages, ImageUsage, VolumeUsage};
use engine_api::volume::Volume;
use errdefs::{Error, Result};

use crate::containers::list;
use crate::engine::Engine;
use crate::filters::Filters;

/// The kinds of things that take space.
const KINDS: [&str; 4] = ["container", "image", "volume", "build-cache"];

/// Everything of the kinds that were asked for.
pub struct Usage {
    images: Option<(Vec<ImageSummary>, i64)>,
    containers: Option<Vec<Summary>>,
    volumes: Option<Vec<Volume>>,
    has_build_cache: bool,
}

/// Looks at what takes space; `kinds` are `container`, `image`, `volume`, `build-cache`, none for all.
///
/// # Errors
/// A kind is none, or the supervisor does not answer.
pub async fn look(engine: &Arc<Engine>, kinds: &[String]) -> Result<Usage> {
    if let Some(kind) = kinds.iter().find(|kind| !KINDS.contains(&kind.as_str())) {
        return Err(Error::invalid_argument(format!("unknown object type: {kind}")));
    }
    let is_asked = |kind: &str| kinds.is_empty() || kinds.iter().any(|asked| asked == kind);
    let images = if is_asked("image") { Some(images(engine).await?) } else { None };
    let containers = if is_asked("container") {
        let all = list::Wish { all: true, with_size: true, ..list::Wish::default() };
        let mut rows = list::list(engine, all).await?;
        rows.iter_mut().for_each(|row| row.image_manifest_descriptor = None);
        Some(rows)
    } else {
        None
    };
    let volumes = if is_asked("volume") {
        let engine = engine.clone();
        tokio::task::spawn_blocking(move || crate::volumes::usage(&engine)).await.ok()
    } else {
        None
    };
    Ok(Usage { images, containers, volumes, has_build_cache: is_asked("build-cache") })
}

async fn images(engine: &Arc<Engine>) -> Result<(Vec<ImageSummary>, i64)> {
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
    Ok((images, crate::images::list::layers_size(engine).await?))
}

impl Usage {
    /// As clients of 1.51 and before know it.
    pub fn listed(&self) -> DiskUsage {
        DiskUsage {
            layers_size: self.images.as_ref().map_or(0, |(_, bytes)| *bytes),
            images: self.images.as_ref().map(|(images, _)| images.clone()),
            containers: self.containers.clone(),
            volumes: self.volumes.clone(),
            build_cache: self.has_build_cache.then(Vec::new),
            ..DiskUsage::default()
        }
    }

    /// Counts and sums; the things themselves only for those `with_items`.
    pub fn summed(self, with_items: bool) -> DiskUsages {
        fn kept<T>(items: Vec<T>, with_items: bool) -> Vec<T> {
            if with_items { items } else { Vec::new() }
        }
        DiskUsages {
            image_usage: self.images.map(|(images, bytes)| ImageUsage {
                active_count: images.iter().filter(|image| image.containers > 0).count() as i64,
                total_count: images.len() as i64,
                reclaimable: images
                    .iter()
                    .filter(|image| image.containers == 0 && image.size != -1 && image.shared_size != -1)
                    .map(|image| (image.size - image.shared_size).max(0))
                    .sum(),
                total_size: bytes,
                items: kept(images, with_items),
            }),
            container_usage: self.containers.map(|rows| {
                let is_active =
                    |row: &&Summary| matches!(row.state.as_str(), "running" | "paused" | "restarting");
                ContainerUsage {
                    active_count: rows.iter().filter(is_active).count() as i64,
                    total_count: rows.len() as i64,
                    reclaimable: rows.iter().filter(|row| !is_active(row)).map(|row| row.size_rw).sum(),
                    total_size: rows.iter().map(|row| row.size_rw).sum(),
                    items: kept(rows, with_items),
                }
            }),
            volume_usage: self.volumes.map(|volumes| volume_usage(volumes, with_items)),
            build_cache_usage: self.has_build_cache.then(BuildCacheUsage::default),
        }
    }
}

/// The size of a plugin's volume is its own affair: it is counted as used.
fn volume_usage(volumes: Vec<Volume>, with_items: bool) -> VolumeUsage {
    let known =
        |volume: &Volume| volume.usage_data.as_ref().map_or((-1, -1), |all| (all.ref_count, all.size));
    let sized = || volumes.iter().map(known).filter(|(_, bytes)| *bytes != -1);
    let idle = || sized().filter(|(users, _)| *users == 0);
    VolumeUsage {
        active_count: volumes.len() as i64 - idle().count() as i64,
        total_count: volumes.len() as i64,
        reclaimable: idle().map(|(_, bytes)| bytes).sum(),
        total_size: sized().map(|(_, bytes)| bytes).sum(),
        items: if with_items { volumes } else { Vec::new() },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use engine_api::volume::UsageData;

    #[test]
    fn what_nobody_uses_can_be_had_back() {
        let volume =
            |ref_count, size| Volume { usage_data: Some(UsageData { ref_count, size }), ..Volume::default() };
        let image = |containers, size, shared_size| ImageSummary {
            containers,
            size,
            shared_size,
            ..ImageSummary::default()
        };
        let row = |state: &str, size_rw| Summary { state: state.into(), size_rw, ..Summary::default() };
        let usage = Usage {
            images: Some((vec![image(1, 50, 20), image(0, 30, 20)], 60)),
            containers: Some(vec![row("running", 7), row("exited", 2), row("paused", 1)]),
            volumes: Some(vec![volume(1, 10), volume(0, 4), volume(0, -1)]),
            has_build_cache: false,
        };
        let summed = usage.summed(true);
        let images = summed.image_usage.unwrap();
        assert_eq!((images.active_count, images.reclaimable, images.total_size), (1, 10, 60));
        let containers = summed.container_usage.unwrap();
        assert_eq!((containers.active_count, containers.reclaimable, containers.total_size), (2, 2, 10));
        let volumes = summed.volume_usage.unwrap();
        assert_eq!((volumes.active_count, volumes.reclaimable, volumes.total_size), (2, 4, 14));
        assert_eq!((volumes.items.len(), summed.build_cache_usage), (3, None));
    }
}
