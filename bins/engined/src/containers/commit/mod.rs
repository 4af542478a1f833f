//! An image of a container: its image's layers and what it changed.

pub mod instruction;

use std::sync::Arc;
use std::time::Instant;

use containerd_api::services::content::v1::{WriteAction, WriteContentRequest};
use containerd_api::services::diff::v1::DiffRequest;
use containerd_api::services::snapshots::v1::{RemoveSnapshotRequest, ViewSnapshotRequest};
use containerd_api::types::Descriptor;
use engine_api::container::Config;
use engine_api::image::Committed;
use errdefs::{Error, Result};
use reference::Reference;
use sha2::{Digest, Sha256};

use super::{Container, Phase, pause, rootfs};
use crate::engine::Engine;
use crate::metrics::Action;
use crate::supervisor::failed;
use crate::time::Time;

/// What the new image is called and says.
#[derive(Default)]
pub struct Wish {
    pub container: String,
    pub repository: String,
    pub tag: String,
    pub message: String,
    pub author: String,
    pub pauses: bool,
    /// Dockerfile instructions.
    pub changes: Vec<String>,
    /// `None` is the container's own.
    pub config: Option<Config>,
}

const LAYER_TYPE: &str = "application/vnd.oci.image.layer.v1.tar+gzip";
const CONFIG_TYPE: &str = "application/vnd.oci.image.config.v1+json";
const MANIFEST_TYPE: &str = "application/vnd.oci.image.manifest.v1+json";

/// `POST /commit`.
///
/// # Errors
/// The container or its image is gone, or a change is malformed.
pub async fn commit(engine: &Arc<Engine>, wish: Wish) -> Result<Committed> {
    let at = Instant::now();
    let container = engine.containers.find(&wish.container)?;
    let record = container.record();
    if matches!(record.state.phase, Phase::Removing | Phase::Dead) {
        return Err(Error::failed_precondition(format!(
            "You cannot commit container {} which is being removed",
            container.id
        )));
    }
    let image = engine.images.find(engine, &record.image_id).await?;
    let mut config = wish.config.clone().unwrap_or_else(|| record.config.clone());
    instruction::apply(&mut config, &wish.changes)?;
    // What neither the request nor its changes say is the container's.
    super::create::complete(&mut config, &record.config)?;
    config.image.clear();
    config.hostname.clear();
    let is_paused = wish.pauses && pause::unless_ended(engine, &container).await?;
    let layer = diff(engine, &container).await;
    if is_paused {
        pause::unpause_unless_ended(engine, &container).await?;
    }
    let layer = layer?;
    let diff_id = layer.annotations.get("containerd.io/uncompressed").cloned().unwrap_or_default();
    let now = Time::now().rfc3339();
    let original = engine.supervisor.read_json::<serde_json::Value>(&image.id).await?;
    let mut document = original;
    let author = if wish.author.is_empty() { image.document.author.clone() } else { wish.author.clone() };
    document["created"] = now.clone().into();
    document["author"] = author.into();
    document["comment"] = wish.message.clone().into();
    document["config"] = serde_json::to_value(&config).unwrap_or_default();
    push(&mut document["rootfs"]["diff_ids"], diff_id.into());
    let command = record.config.cmd.as_ref().map(|words| words.join(" ")).unwrap_or_default();
    push(
        &mut document["history"],
        serde_json::json!({"created": now, "created_by": command, "comment": wish.message}),
    );
    let document = serde_json::to_vec(&document).unwrap_or_default();
    let config_digest = write(engine, "config", &document, Vec::new()).await?;
    let mut layers: Vec<serde_json::Value> =
        image.layers.iter().map(|layer| serde_json::json!({"mediaType": layer.media_type, "digest": layer.digest, "size": layer.size})).collect();
    layers.push(serde_json::json!({"mediaType": LAYER_TYPE, "digest": layer.digest, "size": layer.size}));
    let manifest = serde_json::json!({
        "schemaVersion": 2, "mediaType": MANIFEST_TYPE,
        "config": {"mediaType": CONFIG_TYPE, "digest": config_digest, "size": document.len()}, "layers": layers,
    });
    let manifest = serde_json::to_vec(&manifest).unwrap_or_default();
    let mut labels = vec![("containerd.io/gc.ref.content.config".to_owned(), config_digest.clone())];
    for (at, digest) in image.layers.iter().map(|layer| &layer.digest).chain([&layer.digest]).enumerate() {
        labels.push((format!("containerd.io/gc.ref.content.l.{at}"), digest.clone()));
    }
    let digest = write(engine, "manifest", &manifest, labels).await?;
    let target = Descriptor {
        media_type: MANIFEST_TYPE.into(),
        digest: digest.clone(),
        size: manifest.len() as i64,
        ..Descriptor::default()
    };
    let name = name_of(&wish, &digest)?;
    let labels = [(crate::images::resolve::PARENT.to_owned(), image.id.clone())].into();
    crate::images::tag::put(engine, &name, target, labels).await?;
    // It has a size and can be run at once.
    let image = engine.images.find(engine, &config_digest).await?;
    crate::images::unpack(engine, &image).await?;
    let reference = Reference::parse_normalized(&name).map(|name| name.familiar()).unwrap_or_default();
    let mut more = vec![("imageID", config_digest.clone()), ("imageRef", String::new())];
    if !wish.message.is_empty() {
        more.push(("comment", wish.message.clone()));
    }
    if !wish.repository.is_empty() {
        let attributes = [("name".to_owned(), reference.clone())].into();
        engine.events.tell("image", "tag", &config_digest, attributes);
        more[1].1 = reference;
    }
    engine.tell_container("commit", &container, &more);
    engine.metrics.did(Action::Commit, at);
    Ok(Committed { id: config_digest })
}

fn push(list: &mut serde_json::Value, value: serde_json::Value) {
    match list.as_array_mut() {
        Some(list) => list.push(value),
        None => *list = serde_json::Value::Array(vec![value]),
    }
}

fn name_of(wish: &Wish, digest: &str) -> Result<String> {
    if wish.repository.is_empty() {
        return Ok(format!("{}{digest}", crate::images::resolve::DANGLING));
    }
    let bad = |cause: reference::ParseError| Error::invalid_argument(cause.to_string());
    let mut name = Reference::parse_normalized(&wish.repository).map_err(bad)?;
    if !wish.tag.is_empty() {
        name = name.with_tag(&wish.tag).map_err(bad)?;
    }
    Ok(name.with_default_tag().canonical())
}

/// The container's layer as a blob.
async fn diff(engine: &Engine, container: &Container) -> Result<Descriptor> {
    let snapshotter = engine.supervisor.snapshotter.clone();
    let key = format!("commit-{}", crate::identity::new_id());
    let view = ViewSnapshotRequest {
        snapshotter: snapshotter.clone(),
        key: key.clone(),
        parent: container.record().chain_id.clone(),
        ..ViewSnapshotRequest::default()
    };
    let mut snapshots = engine.supervisor.snapshots();
    let left = snapshots.view(view).await.map_err(failed("look at the image's layers"))?.into_inner().mounts;
    let right = rootfs::mounts(engine, container).await?;
    let labels = [("containerd.io/gc.root".to_owned(), Time::now().rfc3339())];
    let request = DiffRequest {
        left,
        right,
        media_type: LAYER_TYPE.into(),
        labels: labels.into(),
        ..DiffRequest::default()
    };
    let answer =
        engine.supervisor.diff().diff(request).await.map_err(failed("collect what a container changed"));
    let _ = snapshots.remove(RemoveSnapshotRequest { snapshotter, key }).await;
    let layer = answer?.into_inner().diff.unwrap_or_default();
    with_diff_id(engine, layer).await
}

/// The digest of the plain layer, which containerd keeps as a label.
async fn with_diff_id(engine: &Engine, mut layer: Descriptor) -> Result<Descriptor> {
    const LABEL: &str = "containerd.io/uncompressed";
    if !layer.annotations.contains_key(LABEL) {
        let request = containerd_api::services::content::v1::InfoRequest { digest: layer.digest.clone() };
        let info = engine
            .supervisor
            .content()
            .info(request)
            .await
            .map_err(failed("look at a layer"))?
            .into_inner()
            .info
            .unwrap_or_default();
        let digest = info
            .labels
            .get(LABEL)
            .ok_or_else(|| Error::internal("cannot commit: the layer has no diff ID"))?;
        layer.annotations.insert(LABEL.to_owned(), digest.clone());
    }
    Ok(layer)
}

/// Writes a small blob.
async fn write(
    engine: &Engine,
    purpose: &str,
    bytes: &[u8],
    mut labels: Vec<(String, String)>,
) -> Result<String> {
    let digest = format!("sha256:{}", hex::encode(Sha256::digest(bytes)));
    if purpose == "config" {
        labels.push(("containerd.io/gc.root".into(), Time::now().rfc3339()));
    }
    let request = WriteContentRequest {
        action: WriteAction::Commit as i32,
        r#ref: format!("commit-{purpose}-{digest}"),
        total: bytes.len() as i64,
        expected: digest.clone(),
        data: bytes.to_vec().into(),
        labels: labels.into_iter().collect(),
        ..WriteContentRequest::default()
    };
    let answer = engine.supervisor.content().write(tokio_stream::once(request)).await;
    let result = match answer {
        Ok(answer) => match answer.into_inner().message().await {
            Ok(_) => Ok(()),
            Err(status) => Err(status),
        },
        Err(status) => Err(status),
    };
    match result {
        Err(status) if status.code() != tonic::Code::AlreadyExists => {
            Err(failed(format!("write the image's {purpose}"))(status))
        }
        _ => Ok(digest),
    }
}
