//! Removing volumes.

use engine_api::volume::VolumesPruned;
use errdefs::{Error, Kind, Result};

use super::{copy, driver, missing, tell};
use crate::containers::{Container, Source};
use crate::engine::Engine;
use crate::filters::Filters;

/// The filters of a prune.
pub const PRUNE_FILTERS: [&str; 3] = ["label", "label!", "all"];

/// Identifiers of the containers that use a volume.
pub fn users(engine: &Engine, name: &str) -> Vec<String> {
    let uses = |mount: &crate::containers::MountRecord| matches!(&mount.source, Source::Volume { name: used, .. } if used == name);
    engine
        .containers
        .all()
        .iter()
        .filter(|container| container.record().mounts.iter().any(uses))
        .map(|container| container.id.clone())
        .collect()
}

/// Removes a volume on somebody's behalf.
///
/// # Errors
/// It is in use, or not there and nobody forces it.
pub async fn remove(engine: &Engine, name: &str, is_forced: bool) -> Result<()> {
    let Some(kept) = engine.volumes.get(name) else {
        return if is_forced { Ok(()) } else { Err(missing(name)) };
    };
    let users = users(engine, name);
    if !users.is_empty() {
        return Err(Error::failed_precondition(format!(
            "remove {name}: volume is in use - [{}]",
            users.join(", ")
        )));
    }
    if !kept.is_local() {
        match driver::remove(kept.driver(), name).await {
            // Forced, a volume whose plugin is gone is forgotten.
            Err(_) if is_forced => {}
            Err(cause) => return Err(Error::new(cause.kind(), format!("remove {name}: {cause}"))),
            Ok(()) => {}
        }
    }
    engine.volumes.forget(name)?;
    tell(engine, name, "destroy", kept.driver(), &[]);
    Ok(())
}

/// Removes the anonymous volumes of a container that goes.
pub async fn of_container(engine: &Engine, container: &Container) {
    for mount in &container.record().mounts {
        let Source::Volume { name, is_anonymous: true } = &mount.source else { continue };
        let is_used = users(engine, name).iter().any(|id| *id != container.id);
        if is_used {
            continue;
        }
        let Some(kept) = engine.volumes.get(name) else { continue };
        let removed = if kept.is_local() { Ok(()) } else { driver::remove(kept.driver(), name).await };
        match removed.and_then(|()| engine.volumes.forget(name)) {
            Ok(()) => tell(engine, name, "destroy", kept.driver(), &[]),
            Err(error) => {
                tracing::warn!(volume = name, error = %error.chain(), "cannot remove an anonymous volume")
            }
        }
    }
}

/// Removes volumes that nobody uses: anonymous ones, or all.
///
/// # Errors
/// A filter's value is malformed.
pub async fn prune(engine: &Engine, filters: &Filters, with_named: bool) -> Result<VolumesPruned> {
    let with_named = filters.truth("all")?.unwrap_or(with_named);
    let mut pruned = VolumesPruned { volumes_deleted: Some(Vec::new()), space_reclaimed: 0 };
    for (name, kept) in engine.volumes.snapshot() {
        let is_wanted = (with_named || kept.is_anonymous)
            && kept.is_local()
            && filters.labels("label", &kept.labels)
            && filters.without_labels(&kept.labels);
        if !is_wanted || !users(engine, &name).is_empty() {
            continue;
        }
        let bytes = copy::size(&engine.volumes.path(&name));
        match remove(engine, &name, false).await {
            Ok(()) => {
                pruned.space_reclaimed += bytes;
                pruned.volumes_deleted.get_or_insert_default().push(name);
            }
            // A container took it just now.
            Err(error) if error.kind() == Kind::FailedPrecondition => {}
            Err(error) => tracing::warn!(volume = name, error = %error.chain(), "cannot prune a volume"),
        }
    }
    engine.tell_pruned("volume", pruned.space_reclaimed);
    Ok(pruned)
}
