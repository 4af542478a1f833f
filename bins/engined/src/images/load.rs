//! Loading archives: docker-archive or OCI layout, compressed or not.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use containerd_api::pack;
use containerd_api::services::images::v1::{DeleteImageRequest, GetImageRequest};
use containerd_api::types::transfer::{ImageImportStream, ImageReference, ImageStore, UnpackConfiguration};
use engine_api::image::Platform;
use errdefs::{Error, Result};
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
pub async fn load(
    engine: Arc<Engine>,
    body: mpsc::Receiver<Bytes>,
    platforms: Vec<Platform>,
    report: Report,
) -> Result<()> {
    let names = import(&engine, body, &platforms, &report).await?;
    if let (true, Some(platform)) = (names.is_empty(), platforms.first()) {
        return Err(Error::not_found(format!(
            "requested platform ({}) not found: image might be filtered out",
            super::platform::shown(platform)
        )));
    }
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
    body: mpsc::Receiver<Bytes>,
    platforms: &[Platform],
    report: &Report,
) -> Result<Vec<String>> {
    let mut body = super::decompress::body(body).await;
    let broken = Arc::new(Mutex::new(None));
    let stream = engine.supervisor.open_stream("import").await?;
    let source = ImageImportStream { stream: stream.id.clone(), ..ImageImportStream::default() };
    let platforms: Vec<_> = platforms.iter().map(super::platform::to_supervisor).collect();
    let unpacked = match platforms.first() {
        Some(wanted) => wanted.clone(),
        None => super::pull::parse_platform("")?,
    };
    let store = ImageStore {
        extra_references: vec![ImageReference {
            name: PREFIX.into(),
            is_prefix: true,
            allow_overwrite: true,
            add_digest: true,
            skip_named_digest: true,
        }],
        unpacks: vec![UnpackConfiguration {
            platform: Some(unpacked),
            snapshotter: engine.supervisor.snapshotter.clone(),
        }],
        platforms,
        ..ImageStore::default()
    };
    let told = broken.clone();
    let held = super::displaced::hold_all(engine).await?;
    let sending = tokio::spawn(async move {
        // One reader of the body at a time: the closure is called again only after its future.
        let body = tokio::sync::Mutex::new(&mut body);
        stream
            .send_bytes(|| async {
                match body.lock().await.recv().await? {
                    Ok(piece) => Some(piece),
                    Err(error) => {
                        *told.lock().expect("no panic while held") = Some(error);
                        None
                    }
                }
            })
            .await;
    });
    let seen =
        super::pull::transfer(engine, pack(&source), pack(&store), Some(sending), report, Direction::Local)
            .await;
    if let Some(cause) = broken.lock().expect("no panic while held").take() {
        return Err(Error::invalid_argument("cannot decompress the archive").with_source(cause));
    }
    let seen = seen?;
    let mut names = Vec::new();
    for name in seen.saved {
        let name = under_full_name(engine, name).await?;
        if !names.contains(&name) {
            names.push(name);
        }
    }
    super::displaced::settle(held).await?;
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
    super::tag::put(engine, &full, target, HashMap::new()).await?;
    let request = DeleteImageRequest { name, ..DeleteImageRequest::default() };
    let deleted = images.delete(request).await;
    engine.images.stored.changed();
    supervisor::optional(deleted, "rename an image")?;
    Ok(full)
}
