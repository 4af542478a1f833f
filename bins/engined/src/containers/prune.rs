//! Removing containers that do not run.

use std::sync::Arc;

use engine_api::container::ContainersPruned;
use errdefs::{Error, Result};

use super::{Phase, remove};
use crate::engine::Engine;
use crate::filters::Filters;
use crate::time::Time;

/// The filters of a prune.
pub const FILTERS: [&str; 3] = ["label", "label!", "until"];

/// `POST /containers/prune`.
///
/// # Errors
/// A filter's value is malformed.
pub async fn prune(engine: &Arc<Engine>, filters: &Filters) -> Result<ContainersPruned> {
    for text in filters.values("until").unwrap_or_default() {
        if Time::before_now(text).is_none() {
            return Err(Error::invalid_argument(format!(
                "failed to parse value as time or duration: {text:?}"
            )));
        }
    }
    let mut pruned = ContainersPruned { containers_deleted: Some(Vec::new()), space_reclaimed: 0 };
    for container in engine.containers.all() {
        let record = container.record();
        let labels = record.config.labels.clone().unwrap_or_default();
        let is_wanted = matches!(record.state.phase, Phase::Created | Phase::Exited | Phase::Dead)
            && filters.labels("label", &labels)
            && filters.without_labels(&labels)
            && filters
                .accepts("until", |text| Time::before_now(text).is_none_or(|until| record.created < until));
        if !is_wanted {
            continue;
        }
        let bytes = crate::images::usage(engine, &container.id).await.unwrap_or(0);
        if remove::remove(engine, &container, remove::Options::default()).await.is_ok() {
            pruned.space_reclaimed += bytes.unsigned_abs();
            pruned.containers_deleted.get_or_insert_default().push(container.id.clone());
        }
    }
    engine.tell_pruned("container", pruned.space_reclaimed);
    Ok(pruned)
}
