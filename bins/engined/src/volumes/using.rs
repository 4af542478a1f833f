//! A container's use of its volumes: mounted for the first, unmounted after the last.

use errdefs::{Error, Result};

use super::{driver, missing, mount, tell};
use crate::containers::{MountRecord, Record, Source};
use crate::engine::Engine;

/// The directory behind a volume, mounted for a container.
///
/// # Errors
/// The volume is gone, or cannot be mounted.
pub async fn take(engine: &Engine, container: &str, name: &str) -> Result<String> {
    let kept = engine.volumes.get(name).ok_or_else(|| missing(name))?;
    if !kept.is_local() {
        let place = driver::mount(kept.driver(), name, container).await.map_err(|cause| {
            Error::new(cause.kind(), format!("error while mounting volume '{}'", kept.mountpoint))
                .with_source(cause)
        })?;
        engine.volumes.moved(name, &place);
        return Ok(place);
    }
    let data = engine.volumes.path(name);
    if !data.exists() {
        return Err(missing(name));
    }
    if let Some(options) = mount::Options::parse(&kept.options)? {
        engine.volumes.users.enter(name, container, || options.mount(&data))?;
    }
    Ok(data.to_string_lossy().into_owned())
}

/// A volume's name among a container's mounts.
fn name_of(mount: &MountRecord) -> Option<&str> {
    match &mount.source {
        Source::Volume { name, .. } => Some(name),
        _ => None,
    }
}

/// Tells that a container's volumes are mounted.
pub fn tell_mounted(engine: &Engine, record: &Record) {
    for used in &record.mounts {
        let Some(name) = name_of(used) else { continue };
        let more = [
            ("container", record.id.clone()),
            ("destination", used.destination.clone()),
            ("propagation", used.propagation.clone()),
            ("read/write", (!used.is_read_only).to_string()),
        ];
        tell(engine, name, "mount", &engine.volumes.place(name).0, &more);
    }
}

/// Takes the mounts of an ended container's volumes away that no other live one uses.
pub async fn release(engine: &Engine, record: &Record, is_told: bool) {
    for name in record.mounts.iter().filter_map(name_of) {
        let Some(kept) = engine.volumes.get(name) else { continue };
        if is_told {
            tell(engine, name, "unmount", kept.driver(), &[("container", record.id.clone())]);
        }
        let released = if !kept.is_local() {
            driver::unmount(kept.driver(), name, &record.id).await
        } else if !kept.options.is_empty() {
            // Others that live since before this engine did are not among those who came in.
            engine.volumes.users.leave(name, &record.id, || {
                let is_used = is_used_by_others(engine, record, name);
                if is_used { Ok(()) } else { mount::unmount(&engine.volumes.path(name)) }
            })
        } else {
            Ok(())
        };
        if let Err(error) = released {
            tracing::warn!(volume = name, error = %error.chain(), "cannot unmount a volume");
        }
    }
}

fn is_used_by_others(engine: &Engine, record: &Record, name: &str) -> bool {
    engine.containers.all().iter().any(|other| {
        let other = other.record();
        other.id != record.id
            && other.state.phase.is_live()
            && other.mounts.iter().any(|mount| name_of(mount) == Some(name))
    })
}
