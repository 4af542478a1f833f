//! Looking at volumes.

use engine_api::volume::{UsageData, Volume, VolumeList};
use errdefs::Result;

use super::remove::users;
use super::{Kept, copy, driver, missing};
use crate::engine::Engine;
use crate::filters::Filters;

/// The filters of a list.
pub const FILTERS: [&str; 5] = ["dangling", "driver", "label", "name", "label!"];

/// One volume; a plugin adds what it says of its own.
///
/// # Errors
/// It is not there.
pub async fn inspect(engine: &Engine, name: &str) -> Result<Volume> {
    let kept = engine.volumes.get(name).ok_or_else(|| missing(name))?;
    let mut shown = engine.volumes.show(name, &kept);
    if !kept.is_local()
        && let Ok(said) = driver::get(kept.driver(), name).await
    {
        if !said.mountpoint.is_empty() {
            shown.mountpoint = said.mountpoint;
        }
        shown.created_at = said.created_at;
        shown.status = said.status;
    }
    Ok(shown)
}

/// All volumes that pass.
///
/// # Errors
/// A filter's value is malformed.
pub fn list(engine: &Engine, filters: &Filters) -> Result<VolumeList> {
    let dangling = filters.truth("dangling")?;
    let names = filters.patterns("name");
    let passes = |name: &String, kept: &Kept| {
        names.as_ref().is_none_or(|names| names.fit(name))
            && filters.accepts("driver", |driver| driver == kept.driver())
            && filters.labels("label", &kept.labels)
            && filters.without_labels(&kept.labels)
            && dangling.is_none_or(|dangling| dangling == users(engine, name).is_empty())
    };
    let all = engine.volumes.snapshot();
    let volumes = all
        .iter()
        .filter(|(name, kept)| passes(name, kept))
        .map(|(name, kept)| engine.volumes.show(name, kept));
    Ok(VolumeList { volumes: Some(volumes.collect()), warnings: None })
}

/// All volumes with users and sizes, for `system df`; the size of a plugin's is its own affair.
pub fn usage(engine: &Engine) -> Vec<Volume> {
    let size = |name: &str| i64::try_from(copy::size(&engine.volumes.path(name))).unwrap_or(i64::MAX);
    let all = engine.volumes.snapshot();
    all.iter()
        .map(|(name, kept)| {
            let usage = UsageData {
                ref_count: users(engine, name).len() as i64,
                size: if kept.is_local() { size(name) } else { -1 },
            };
            Volume { usage_data: Some(usage), ..engine.volumes.show(name, kept) }
        })
        .collect()
}
