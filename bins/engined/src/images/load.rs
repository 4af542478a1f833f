//! Loading archives: docker-archive or OCI layout, compressed or not.

use std::sync::Arc;

use bytes::Bytes;
use containerd_api::pack;
use containerd_api::services::images::v1::{DeleteImageRequest, GetImageRequest};
use containerd_api::types::transfer::{ImageImportStream, ImageReference, ImageStore, UnpackConfiguration};
use errdefs::Result;
use reference::Reference;
use tokio::sync::mpsc;

use super::progress::{Direction, Report};
use crate::engine::Engine;
use crate::supervisor;

/// What keeps images that the archive does not name.
const PREFIX: &str = "moby-dangling";

/// Reads an archive from `body` and tells what was in it.
///
/// # Errors
/// It is no image archive.
pub async fn load(engine: Arc<Engine>, body: mpsc::Receiver<Bytes>, report: Report) -> Result<()> {
    let names = import(&engine, body, &report).await?;
    for name in names {
        let line = match Reference::parse_normalized(&name) {
            Ok(named) if !name.starts_with(super::resolve::DANGLING) => {
                format!("Loaded image: {}\n", named.familiar())
            }
            _ => {
                let id = engine
                    .images
                    .all(&engine)
                    .await?
                    .into_iter()
                    .find(|(record, _)| record.name == name)
                    .map(|(_, image)| image.id.clone());
                format!("Loaded image ID: {}\n", id.unwrap_or(name))
            }
        };
        report.text(line).await;
    }
    engine.events.tell("image", "load", "", Default::default());
    Ok(())
}

/// Hands an archive to the supervisor; the names of what it kept.
///
/// # Errors
/// As [`load`].
pub async fn import(
    engine: &Arc<Engine>,
    mut body: mpsc::Receiver<Bytes>,
    report: &Report,
) -> Result<Vec<String>> {
    let stream = engine.supervisor.open_stream("import").await?;
    let source = ImageImportStream { stream: stream.id.clone(), ..ImageImportStream::default() };
    let platform = super::pull::parse_platform("")?;
    let store = ImageStore {
        extra_references: vec![ImageReference {
            name: PREFIX.into(),
            is_prefix: true,
            allow_overwrite: true,
            add_digest: true,
            skip_named_digest: true,
        }],
        unpacks: vec![UnpackConfiguration {
            platform: Some(platform),
            snapshotter: engine.supervisor.snapshotter.clone(),
        }],
        ..ImageStore::default()
    };
    let sending = tokio::spawn(async move {
        let body = &mut body;
        // One reader of the body at a time: the closure is called again only after its future.
        let body = tokio::sync::Mutex::new(body);
        stream.send_bytes(|| async { body.lock().await.recv().await }).await;
    });
    let seen =
        super::pull::transfer(engine, pack(&source), pack(&store), Some(sending), report, Direction::Local)
            .await?;
    let mut names = Vec::new();
    for name in seen.saved {
        let name = under_full_name(engine, name).await?;
        if !names.contains(&name) {
            names.push(name);
        }
    }
    Ok(names)
}

/// An OCI layout may give short names, which the store keeps as they are: people's names are full
/// ones in disguise.
async fn under_full_name(engine: &Arc<Engine>, name: String) -> Result<String> {
    let full = match Reference::parse_normalized(&name) {
        Ok(full) if !name.starts_with(super::resolve::DANGLING) => full.with_default_tag().canonical(),
        _ => return Ok(name),
    };
    if full == name {
        return Ok(name);
    }
    let mut images = engine.supervisor.images();
    let answer = images.get(GetImageRequest { name: name.clone() }).await;
    let found = supervisor::optional(answer, "look for an image")?;
    let Some(target) = found.and_then(|answer| answer.image?.target) else { return Ok(name) };
    super::tag::put(engine, &full, target).await?;
    let request = DeleteImageRequest { name, ..DeleteImageRequest::default() };
    supervisor::optional(images.delete(request).await, "rename an image")?;
    Ok(full)
}
