//! Images whose name goes to another one: they stay, without a name, until somebody removes them.

use std::sync::Arc;

use containerd_api::services::images::v1::{CreateImageRequest, Image as StoredImage};
use containerd_api::services::leases::v1::{AddResourceRequest, CreateRequest, DeleteRequest, Resource};
use errdefs::Result;

use super::resolve::{DANGLING, digest_of};
use crate::engine::Engine;
use crate::supervisor::failed;
use crate::time::Time;

/// The supervisor lets go of what an engine that died was holding.
const EXPIRE: &str = "containerd.io/gc.expire";
const HOLD_SECONDS: i64 = 24 * 3600;

/// Holds images while their names may move, so that the collector does not take them in between.
pub struct Held {
    engine: Arc<Engine>,
    lease: String,
    before: Vec<StoredImage>,
}

/// Holds the image that has this name now.
///
/// # Errors
/// The supervisor refuses.
pub async fn hold_name(engine: &Arc<Engine>, name: &str) -> Result<Option<Held>> {
    let records = engine.images.records(engine).await?;
    hold(engine, records.iter().filter(|record| record.name == name).cloned().collect()).await
}

/// Holds every image that has a name.
///
/// # Errors
/// The supervisor refuses.
pub async fn hold_all(engine: &Arc<Engine>) -> Result<Option<Held>> {
    let records = engine.images.records(engine).await?;
    hold(engine, records.iter().filter(|record| !record.name.starts_with(DANGLING)).cloned().collect()).await
}

async fn hold(engine: &Arc<Engine>, before: Vec<StoredImage>) -> Result<Option<Held>> {
    if before.is_empty() {
        return Ok(None);
    }
    let lease = format!("names-{}", crate::identity::short(&crate::identity::new_id()));
    let until = Time(Time::now().0 + HOLD_SECONDS * 1_000_000_000).rfc3339_seconds();
    let request = CreateRequest { id: lease.clone(), labels: [(EXPIRE.to_owned(), until)].into() };
    let mut leases = engine.supervisor.leases();
    leases.create(request).await.map_err(failed("hold images"))?;
    let held = Held { engine: engine.clone(), lease, before };
    for record in &held.before {
        let resource = Resource { id: digest_of(record).to_owned(), r#type: "content".to_owned() };
        let request = AddResourceRequest { id: held.lease.clone(), resource: Some(resource) };
        leases.add_resource(request).await.map_err(failed("hold images"))?;
    }
    Ok(Some(held))
}

/// Keeps those of the held images that lost their last name.
///
/// # Errors
/// The supervisor refuses.
pub async fn settle(held: Option<Held>) -> Result<()> {
    let Some(mut held) = held else { return Ok(()) };
    let (lease, before) = (std::mem::take(&mut held.lease), std::mem::take(&mut held.before));
    let kept = keep(&held.engine, before).await;
    let released = release(&held.engine, lease).await;
    kept.and(released)
}

async fn keep(engine: &Engine, before: Vec<StoredImage>) -> Result<()> {
    let now = engine.images.records(engine).await?;
    for old in before {
        let has_moved = now.iter().any(|new| new.name == old.name && digest_of(new) != digest_of(&old));
        let is_kept = now.iter().any(|new| digest_of(new) == digest_of(&old));
        if has_moved && !is_kept {
            without_name(engine, &old).await?;
        }
    }
    Ok(())
}

/// A record that keeps an image without a name.
///
/// # Errors
/// The supervisor refuses.
pub async fn without_name(engine: &Engine, record: &StoredImage) -> Result<()> {
    let image = StoredImage {
        name: format!("{DANGLING}{}", digest_of(record)),
        target: record.target.clone(),
        labels: record.labels.clone(),
        ..StoredImage::default()
    };
    let request = CreateImageRequest { image: Some(image), source_date_epoch: None };
    let created = engine.supervisor.images().create(request).await;
    engine.images.stored.changed();
    match created {
        Err(status) if status.code() != tonic::Code::AlreadyExists => {
            Err(failed("keep an image without a name")(status))
        }
        _ => Ok(()),
    }
}

async fn release(engine: &Engine, lease: String) -> Result<()> {
    let request = DeleteRequest { id: lease, sync: false };
    match engine.supervisor.leases().delete(request).await {
        Err(status) if status.code() != tonic::Code::NotFound => Err(failed("let images go")(status)),
        _ => Ok(()),
    }
}

impl Drop for Held {
    /// Whoever asked went away in the middle: the names may have moved all the same.
    fn drop(&mut self) {
        if self.lease.is_empty() {
            return;
        }
        let (lease, before) = (std::mem::take(&mut self.lease), std::mem::take(&mut self.before));
        let engine = self.engine.clone();
        tokio::spawn(async move {
            let kept = keep(&engine, before).await;
            if let Err(error) = kept.and(release(&engine, lease).await) {
                tracing::warn!(error = %error.chain(), "cannot keep images that lost their names");
            }
        });
    }
}
