//! Removing what an image has for some platforms, and nothing else of it.

use std::sync::Arc;

use containerd_api::services::content::v1::DeleteContentRequest;
use engine_api::image::{ImageDeleted, Platform};
use errdefs::{Error, Result};

use super::manifests::{Either, attested};
use super::platform::{fits, shown};
use crate::engine::Engine;
use crate::identity::short;
use crate::supervisor::optional;

/// Removes the manifests of an image that are for `platforms`; what only they need goes with them.
///
/// # Errors
/// The image is not there, or not for one of the platforms; or a container uses what is meant.
pub async fn remove_platforms(
    engine: &Arc<Engine>,
    typed: &str,
    platforms: &[Platform],
) -> Result<Vec<ImageDeleted>> {
    let (_, whole) = engine.images.find_record(engine, typed).await?;
    let index: Either = engine.supervisor.read_json(&whole.target).await?;
    if index.config.is_some() {
        return Err(Error::failed_precondition(format!(
            "conflict: image {typed} is for one platform alone: remove it without naming a platform"
        )));
    }
    let mut doomed = Vec::new();
    for wanted in platforms {
        // Says in Docker's words when it is not here.
        let (_, image) = engine.images.find_for(engine, typed, Some(wanted)).await?;
        refuse_if_used(engine, &image.id, wanted)?;
        for entry in &index.manifests {
            let is_meant = attested(entry).is_none()
                && entry.platform.as_ref().is_some_and(|platform| fits(wanted, platform));
            if is_meant && engine.supervisor.has_blob(&entry.digest).await? && !doomed.contains(&entry.digest)
            {
                doomed.push(entry.digest.clone());
            }
        }
    }
    let mut rows = Vec::new();
    for digest in doomed {
        let request = DeleteContentRequest { digest: digest.clone() };
        let answer = engine.supervisor.content().delete(request).await;
        optional(answer, "remove the image of a platform")?;
        rows.push(ImageDeleted { deleted: digest, ..ImageDeleted::default() });
    }
    engine.images.forget(&whole.target);
    Ok(rows)
}

fn refuse_if_used(engine: &Engine, id: &str, platform: &Platform) -> Result<()> {
    let all = engine.containers.all();
    let user = all.iter().find(|container| container.record().image_id == id);
    match user {
        None => Ok(()),
        Some(container) => Err(Error::failed_precondition(format!(
            "conflict: unable to delete {} ({}) (cannot be forced) - container {} is using it",
            short(id.trim_start_matches("sha256:")),
            shown(platform),
            short(&container.id)
        ))),
    }
}
