//! How an image was made, newest step first.

use std::sync::Arc;

use engine_api::image::{HistoryRow, Platform};
use errdefs::Result;

use super::chain_id;
use crate::engine::Engine;
use crate::time::Time;

/// `GET /images/{name}/history`.
///
/// # Errors
/// The image is not there, or not for the platform.
pub async fn history(
    engine: &Arc<Engine>,
    typed: &str,
    platform: Option<&Platform>,
) -> Result<Vec<HistoryRow>> {
    let (record, image) = engine.images.find_for(engine, typed, platform).await?;
    let named =
        super::list::named(engine).await?.into_iter().find(|named| named.records.contains(&record.name));
    let diff_ids = &image.document.rootfs.diff_ids;
    let mut rows = Vec::new();
    let mut layer = 0;
    for step in &image.document.history {
        let mut row = HistoryRow {
            comment: step.comment.clone(),
            created: step.created.as_deref().and_then(Time::parse).unwrap_or_default().seconds(),
            created_by: step.created_by.clone(),
            id: "<missing>".into(),
            ..HistoryRow::default()
        };
        if !step.empty_layer && layer < diff_ids.len() {
            layer += 1;
            row.size = super::usage(engine, &chain_id(&diff_ids[..layer])).await?;
        }
        rows.push(row);
    }
    rows.reverse();
    if let Some(first) = rows.first_mut() {
        first.id.clone_from(&image.id);
        first.tags = named.map(|named| named.tags).filter(|tags| !tags.is_empty());
    }
    Ok(rows)
}
