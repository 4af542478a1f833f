//! The manifests behind a name: images for platforms, attestations, and how much of each is here.

use std::sync::Arc;

use containerd_api::services::content::v1::InfoRequest;
use engine_api::image::{AttestationData, Descriptor, ImageData, ManifestSize, ManifestSummary, Platform};
use errdefs::{Kind, Result};
use serde::Deserialize;

use super::{Document, chain_id};
use crate::engine::Engine;
use crate::supervisor::optional;

/// Annotation by which a builder marks what it attests.
const REFERENCE_TYPE: &str = "vnd.docker.reference.type";
const REFERENCE_DIGEST: &str = "vnd.docker.reference.digest";

/// An index or a manifest: which one, its fields say.
#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
pub struct Either {
    pub media_type: String,
    pub manifests: Vec<Descriptor>,
    pub config: Option<Descriptor>,
    pub layers: Vec<Descriptor>,
}

/// The manifest that attests `digest`, when the descriptor is one's.
pub fn attested(descriptor: &Descriptor) -> Option<&str> {
    let kind = descriptor.annotations.get(REFERENCE_TYPE)?;
    (kind == "attestation-manifest")
        .then(|| descriptor.annotations.get(REFERENCE_DIGEST).map_or("", String::as_str))
}

/// Every manifest below `target`, in the index's order.
///
/// # Errors
/// The supervisor does not answer, or the target is not there.
pub async fn summaries(engine: &Arc<Engine>, target: &Descriptor) -> Result<Vec<ManifestSummary>> {
    let either: Either = engine.supervisor.read_json(&target.digest).await?;
    if either.config.is_some() {
        return Ok(vec![summary(engine, target).await?]);
    }
    let mut rows = Vec::new();
    for child in &either.manifests {
        rows.push(summary(engine, child).await?);
    }
    Ok(rows)
}

async fn summary(engine: &Arc<Engine>, descriptor: &Descriptor) -> Result<ManifestSummary> {
    let found: Result<Either> = engine.supervisor.read_json(&descriptor.digest).await;
    let found = match found {
        Err(error) if error.kind() == Kind::NotFound => None,
        other => Some(other?),
    };
    let mut content = 0;
    let mut available = found.is_some();
    let children = found.iter().flat_map(|either| either.config.iter().chain(&either.layers));
    let children: Vec<String> = children.map(|child| child.digest.clone()).collect();
    for digest in children {
        match size_here(engine, &digest).await? {
            Some(size) => content += size,
            None => available = false,
        }
    }
    if found.is_some() {
        content += descriptor.size;
    }
    let mut row = ManifestSummary {
        id: descriptor.digest.clone(),
        descriptor: descriptor.clone(),
        available,
        size: ManifestSize { content, total: content },
        kind: "unknown".to_owned(),
        ..ManifestSummary::default()
    };
    if let Some(of) = attested(descriptor) {
        row.kind = "attestation".to_owned();
        row.attestation_data = Some(AttestationData { of: of.to_owned() });
    } else if let Some(data) = image_data(engine, descriptor, found.as_ref()).await? {
        row.kind = "image".to_owned();
        row.size.total += data.size.unpacked;
        row.image_data = Some(data);
    }
    Ok(row)
}

/// What makes it an image: a config of one, or a platform that the index names.
async fn image_data(
    engine: &Arc<Engine>,
    descriptor: &Descriptor,
    manifest: Option<&Either>,
) -> Result<Option<ImageData>> {
    let config = manifest.and_then(|either| either.config.as_ref());
    let is_image = config.is_none_or(|config| {
        config.media_type.contains("image.config") || config.media_type.contains("container.image")
    });
    let named = descriptor.platform.clone().filter(|platform| platform.os != "unknown");
    if !is_image || (config.is_none() && named.is_none()) {
        return Ok(None);
    }
    let mut data = ImageData { platform: named.clone().unwrap_or_default(), ..ImageData::default() };
    let Some(config) = config else { return Ok(Some(data)) };
    let document: Document = match engine.supervisor.read_json(&config.digest).await {
        Err(error) if error.kind() == Kind::NotFound => return Ok(Some(data)),
        other => other?,
    };
    if named.is_none() {
        data.platform = platform_of(&document);
    }
    data.size.unpacked = engine.images.size_of_chain(engine, &chain_id(&document.rootfs.diff_ids)).await?;
    for container in engine.containers.all() {
        let record = container.record();
        if record.image_id == config.digest {
            data.containers.push(record.id.clone());
        }
    }
    Ok(Some(data))
}

/// The platform that a config names.
pub fn platform_of(document: &Document) -> Platform {
    Platform {
        architecture: document.architecture.clone(),
        os: document.os.clone(),
        variant: document.variant.clone(),
        ..Platform::default()
    }
}

async fn size_here(engine: &Engine, digest: &str) -> Result<Option<i64>> {
    let answer = engine.supervisor.content().info(InfoRequest { digest: digest.to_owned() }).await;
    let answer = optional(answer, "ask for content")?;
    Ok(answer.and_then(|answer| answer.info).map(|info| info.size))
}

/// A record's target in the API's words.
pub fn descriptor_of(target: &containerd_api::types::Descriptor) -> Descriptor {
    Descriptor {
        media_type: target.media_type.clone(),
        digest: target.digest.clone(),
        size: target.size,
        annotations: target.annotations.clone().into_iter().collect(),
        ..Descriptor::default()
    }
}
