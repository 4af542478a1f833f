//! From `-v`, `--mount`, `--tmpfs`, `--volumes-from` and the image's volumes to a list of mounts.

mod text;
mod wish;

use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use engine_api::container::Config;
use engine_api::host_config::HostConfig;
use errdefs::{Error, Result};

use super::super::versions::Old;
use super::super::{MountRecord, Source};
use crate::engine::Engine;
use crate::{identity, volumes};

/// Plans all mounts of a container; volumes that are named come into being.
///
/// # Errors
/// A wish is malformed, or names what is not there.
pub async fn plan(
    engine: &Arc<Engine>,
    config: &Config,
    host: &HostConfig,
    old: Old,
) -> Result<Vec<MountRecord>> {
    let mut all: Vec<MountRecord> = Vec::new();
    for other in host.volumes_from.iter().flatten() {
        for mount in from_other(engine, other)? {
            put(&mut all, mount);
        }
    }
    for mount in asked(host, old)? {
        let mount = with_source(engine, mount, host).await?;
        put(&mut all, mount);
    }
    for destination in config.volumes.iter().flatten().map(|(path, _)| path) {
        let destination = clean(destination)?;
        if destination == "/" {
            return Err(Error::invalid_argument("invalid specification: destination can't be '/'"));
        }
        if !all.iter().any(|mount| mount.destination == destination) {
            all.push(with_source(engine, anonymous(destination), host).await?);
        }
    }
    Ok(all)
}

/// What stands in the host's part of a request, read and checked.
fn asked(host: &HostConfig, old: Old) -> Result<Vec<MountRecord>> {
    let mut asked = Vec::new();
    for text in host.binds.iter().flatten() {
        asked.push(text::parse_bind(text)?);
    }
    for mount in &host.mounts {
        asked.push(wish::read(mount)?);
    }
    for (destination, options) in &host.tmpfs {
        let options = options.split(',').filter(|option| !option.is_empty()).map(str::to_owned).collect();
        asked.push(MountRecord {
            source: Source::Tmpfs { options },
            destination: clean(destination)?,
            ..MountRecord::default()
        });
    }
    for mount in &mut asked {
        mount.is_read_only_shallow |= old.is_read_only_shallow;
    }
    for (at, mount) in asked.iter().enumerate() {
        if asked[..at].iter().any(|other| other.destination == mount.destination) {
            return Err(Error::invalid_argument(format!("Duplicate mount point: {}", mount.destination)));
        }
    }
    Ok(asked)
}

fn put(all: &mut Vec<MountRecord>, mount: MountRecord) {
    all.retain(|other| other.destination != mount.destination);
    all.push(mount);
}

pub fn anonymous(destination: String) -> MountRecord {
    MountRecord {
        source: Source::Volume { name: identity::new_id(), is_anonymous: true },
        destination,
        ..MountRecord::default()
    }
}

/// The mounts of another container; nothing is copied into them.
fn from_other(engine: &Engine, text: &str) -> Result<Vec<MountRecord>> {
    let (name, is_read_only) = text::parse_volumes_from(text)?;
    // Told as a wrong wish: to a client, "not found" would mean the image.
    let other = engine.containers.find(name).map_err(|cause| Error::invalid_argument(cause.to_string()))?;
    let mut mounts = other.record().mounts.clone();
    mounts.retain(|mount| !matches!(mount.source, Source::Tmpfs { .. } | Source::Image { .. }));
    for mount in &mut mounts {
        mount.is_read_only |= is_read_only;
        mount.is_bare = true;
    }
    Ok(mounts)
}

/// Volumes come into being when they are named, and images are looked up.
async fn with_source(engine: &Arc<Engine>, mut mount: MountRecord, host: &HostConfig) -> Result<MountRecord> {
    match &mut mount.source {
        Source::Volume { name, is_anonymous } => {
            let options = host
                .mounts
                .iter()
                .find(|wish| mount.is_wish && clean(&wish.target).is_ok_and(|at| at == mount.destination))
                .and_then(|wish| wish.volume_options.clone())
                .unwrap_or_default();
            let driver = options.driver_config.unwrap_or_default();
            // The driver for all volumes is that of the old way to name them.
            let general = if mount.is_wish { "" } else { host.volume_driver.as_str() };
            let wish = volumes::Wish {
                name: name.clone(),
                driver: if driver.name.is_empty() { general.to_owned() } else { driver.name },
                options: driver.options,
                labels: options.labels,
                is_anonymous: *is_anonymous,
            };
            *name = volumes::ensure(engine, wish).await?;
            if mount.mode == "z" && !engine.volumes.is_local(name) {
                mount.mode.clear();
            }
        }
        Source::Image { name, id, .. } => {
            *id = engine.images.find(engine, name).await?.id.clone();
        }
        Source::Bind { .. } | Source::Tmpfs { .. } => {}
    }
    Ok(mount)
}

/// An absolute path without `.`, `..` and doubled slashes.
pub fn clean(path: &str) -> Result<String> {
    if !path.starts_with('/') {
        return Err(Error::invalid_argument(format!(
            "invalid mount path: '{path}' mount path must be absolute"
        )));
    }
    let mut cleaned = PathBuf::from("/");
    for part in Path::new(path).components() {
        match part {
            Component::Normal(name) => cleaned.push(name),
            Component::ParentDir => drop(cleaned.pop()),
            _ => {}
        }
    }
    Ok(cleaned.to_string_lossy().into_owned())
}
