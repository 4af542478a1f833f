//! In-toto statements that a builder attached to an image.

use std::sync::Arc;

use engine_api::image::{Attestation, Platform};
use errdefs::{Error, Result};

use super::manifests::{Either, attested};
use crate::engine::Engine;

/// Annotation of a layer that is a statement: what it states.
const PREDICATE_TYPE: &str = "in-toto.io/predicate-type";

/// Which statements are wanted.
pub struct Wish {
    pub platform: Option<Platform>,
    /// Predicate types; none means all.
    pub types: Vec<String>,
    /// With the statements themselves.
    pub with_statement: bool,
}

/// `GET /images/{name}/attestations`.
///
/// # Errors
/// The image is not there, not for that platform, or a statement cannot be read.
pub async fn attestations(engine: &Arc<Engine>, typed: &str, wish: &Wish) -> Result<Vec<Attestation>> {
    let (_, image) = engine.images.find_for(engine, typed, wish.platform.as_ref()).await?;
    let index: Either = engine.supervisor.read_json(&image.target).await?;
    let attesting = index.manifests.iter().find(|entry| attested(entry) == Some(image.manifest.as_str()));
    let Some(attesting) = attesting else { return Ok(Vec::new()) };
    if !engine.supervisor.has_blob(&attesting.digest).await? {
        return Ok(Vec::new());
    }
    let manifest: Either = engine.supervisor.read_json(&attesting.digest).await?;
    let mut found = Vec::new();
    for layer in manifest.layers {
        let Some(predicate_type) = layer.annotations.get(PREDICATE_TYPE).cloned() else { continue };
        if !wish.types.is_empty() && !wish.types.contains(&predicate_type) {
            continue;
        }
        let statement = match wish.with_statement {
            true => Some(engine.supervisor.read_json(&layer.digest).await.map_err(|cause| {
                Error::new(cause.kind(), format!("failed to read attestation statement {}", layer.digest))
                    .with_source(cause)
            })?),
            false => None,
        };
        found.push(Attestation { descriptor: layer, predicate_type, statement });
    }
    Ok(found)
}
