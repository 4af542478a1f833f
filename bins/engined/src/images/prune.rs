//! Removing images that nobody needs.

use std::sync::Arc;

use engine_api::image::ImagesPruned;
use errdefs::Result;

use crate::engine::Engine;
use crate::filters::Filters;

/// The filters of a prune.
pub const FILTERS: [&str; 4] = ["dangling", "label", "label!", "until"];

/// Removes images without a name, or all that no container uses (`dangling=false`).
///
/// # Errors
/// A filter's value is malformed.
pub async fn prune(engine: &Arc<Engine>, filters: &Filters) -> Result<ImagesPruned> {
    let until = filters.moment("until")?;
    let only_dangling = filters.truth("dangling")?.unwrap_or(true);
    let used: Vec<String> =
        engine.containers.all().iter().map(|container| container.record().image_id.clone()).collect();
    let mut pruned = ImagesPruned { images_deleted: Some(Vec::new()), space_reclaimed: 0 };
    for named in super::list::named(engine).await? {
        let labels = named.image.config.labels.clone().unwrap_or_default();
        let at = super::list::created(&named.image);
        let is_wanted = (named.tags.is_empty() || !only_dangling)
            && !used.contains(&named.image.id)
            && filters.labels("label", &labels)
            && filters.without_labels(&labels)
            && until.is_none_or(|until| at < until);
        if !is_wanted {
            continue;
        }
        let size = engine.images.size_of_chain(engine, &named.image.chain_id).await.unwrap_or(0);
        if let Ok(rows) = super::remove::delete(engine, &named, &named.records, true).await {
            pruned.space_reclaimed += size.unsigned_abs();
            pruned.images_deleted.get_or_insert_default().extend(rows);
        }
    }
    engine.tell_pruned("image", pruned.space_reclaimed);
    Ok(pruned)
}
