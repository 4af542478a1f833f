//! Volumes of the local driver: directories that outlive containers.

mod copy;
mod mount;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::RwLock;

use engine_api::volume::{Volume, VolumeList, VolumesPruned};
use errdefs::{Error, Result};
use serde::{Deserialize, Serialize};

use crate::containers::Source;
use crate::engine::Engine;
use crate::files::{Promise, failed, replace_json};
use crate::filters::Filters;
use crate::time::Time;

pub use copy::copy_up;

/// The filters of a list.
pub const FILTERS: [&str; 5] = ["dangling", "driver", "label", "name", "label!"];
/// The filters of a prune.
pub const PRUNE_FILTERS: [&str; 3] = ["label", "label!", "all"];

/// The volumes of an engine.
pub struct Volumes {
    directory: PathBuf,
    all: RwLock<BTreeMap<String, Kept>>,
}

/// What is kept of a volume on disk: `volume.json` beside its `_data`.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
struct Kept {
    created: Time,
    labels: BTreeMap<String, String>,
    options: BTreeMap<String, String>,
    is_anonymous: bool,
}

/// Checks a volume's name.
///
/// # Errors
/// It has characters that no name has.
pub fn check_name(name: &str) -> Result<()> {
    if crate::identity::is_name(name) {
        return Ok(());
    }
    Err(Error::invalid_argument(format!(
        "create {name}: \"{name}\" includes invalid characters for a local volume name, only \
         \"[a-zA-Z0-9][a-zA-Z0-9_.-]\" are allowed. If you intended to pass a host directory, use absolute path"
    )))
}

impl Volumes {
    /// Reads what is on disk.
    ///
    /// # Errors
    /// The directory cannot be read.
    pub fn load(directory: &Path) -> Result<Volumes> {
        let mut all = BTreeMap::new();
        for entry in std::fs::read_dir(directory).map_err(failed("read", directory))?.flatten() {
            let text = std::fs::read(entry.path().join("volume.json")).unwrap_or_default();
            match serde_json::from_slice(&text) {
                Ok(kept) => drop(all.insert(entry.file_name().to_string_lossy().into_owned(), kept)),
                Err(error) => tracing::warn!(path = %entry.path().display(), %error, "cannot load a volume"),
            }
        }
        Ok(Volumes { directory: directory.to_owned(), all: RwLock::new(all) })
    }

    /// Where a volume's files are.
    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.join(name).join("_data")
    }

    /// Creates a volume; one that is there already must have been made with the same options.
    ///
    /// # Errors
    /// The name or an option is malformed, or the existing volume differs.
    pub fn create(
        &self,
        name: &str,
        options: &BTreeMap<String, String>,
        labels: &BTreeMap<String, String>,
    ) -> Result<String> {
        mount::Options::parse(options)?;
        let name = if name.is_empty() { crate::identity::new_id() } else { name.to_owned() };
        check_name(&name)?;
        let is_anonymous = labels.contains_key("com.docker.volume.anonymous");
        self.make(
            &name,
            Kept { created: Time::now(), labels: labels.clone(), options: options.clone(), is_anonymous },
        )?;
        Ok(name)
    }

    /// Makes a volume that a container names, if it is not there.
    ///
    /// # Errors
    /// It cannot be made.
    pub fn ensure(&self, name: &str, is_anonymous: bool) -> Result<()> {
        let labels = if is_anonymous {
            BTreeMap::from([("com.docker.volume.anonymous".to_owned(), String::new())])
        } else {
            BTreeMap::new()
        };
        self.make(name, Kept { created: Time::now(), is_anonymous, labels, ..Kept::default() })
    }

    fn make(&self, name: &str, kept: Kept) -> Result<()> {
        let mut all = self.all.write().expect("no panic while held");
        if let Some(there) = all.get(name) {
            if !kept.options.is_empty() && kept.options != there.options {
                return Err(Error::already_exists(format!(
                    "a volume named {name} already exists with other options. Choose a different volume name"
                )));
            }
            return Ok(());
        }
        let data = self.path(name);
        std::fs::create_dir_all(&data).map_err(failed("make directory", &data))?;
        let promise = if kept.is_anonymous { Promise::Process } else { Promise::Durable };
        replace_json(&self.directory.join(name).join("volume.json"), &kept, promise)?;
        all.insert(name.to_owned(), kept);
        Ok(())
    }

    /// The host path that a container's mount of the volume starts at.
    ///
    /// # Errors
    /// The volume is gone, or the part of it does not exist or leads out of it.
    pub fn mounted_path(&self, name: &str, subpath: &str) -> Result<String> {
        let data = self.path(name);
        if !data.exists() {
            return Err(missing(name));
        }
        self.mount(name)?;
        if subpath.is_empty() {
            return Ok(data.to_string_lossy().into_owned());
        }
        let refuse = || {
            Error::invalid_argument(format!(
                "cannot access path {}: no such directory in volume {name}",
                data.join(subpath).display()
            ))
        };
        let root = data.canonicalize().map_err(|_| refuse())?;
        let path = root.join(subpath).canonicalize().map_err(|_| refuse())?;
        if !path.starts_with(&root) {
            return Err(refuse());
        }
        Ok(path.to_string_lossy().into_owned())
    }

    /// Mounts a volume that is a mount; a plain one is always there.
    ///
    /// # Errors
    /// The kernel refuses.
    pub fn mount(&self, name: &str) -> Result<()> {
        let options =
            self.all.read().expect("no panic while held").get(name).map(|kept| kept.options.clone());
        match mount::Options::parse(&options.unwrap_or_default())? {
            Some(options) => options.mount(&self.path(name)),
            None => Ok(()),
        }
    }

    /// Removes a volume and its files.
    ///
    /// # Errors
    /// It is not there or its files cannot be removed.
    pub fn remove(&self, name: &str) -> Result<()> {
        let mut all = self.all.write().expect("no panic while held");
        if !all.contains_key(name) {
            return Err(missing(name));
        }
        let directory = self.directory.join(name);
        // What is mounted there is not the volume's to delete.
        mount::unmount(&self.path(name))?;
        std::fs::remove_dir_all(&directory).map_err(failed("remove", &directory))?;
        all.remove(name);
        Ok(())
    }

    fn snapshot(&self) -> BTreeMap<String, Kept> {
        self.all.read().expect("no panic while held").clone()
    }

    fn show(&self, name: &str, kept: &Kept) -> Volume {
        Volume {
            created_at: kept.created.rfc3339(),
            driver: "local".into(),
            labels: if kept.labels.is_empty() { None } else { Some(kept.labels.clone()) },
            mountpoint: self.path(name).to_string_lossy().into_owned(),
            name: name.to_owned(),
            options: if kept.options.is_empty() { None } else { Some(kept.options.clone()) },
            scope: "local".into(),
            ..Volume::default()
        }
    }
}

fn missing(name: &str) -> Error {
    Error::not_found(format!("get {name}: no such volume"))
}

/// Identifiers of the containers that use a volume.
fn users(engine: &Engine, name: &str) -> Vec<String> {
    let uses = |mount: &crate::containers::MountRecord| matches!(&mount.source, Source::Volume { name: used, .. } if used == name);
    engine
        .containers
        .all()
        .iter()
        .filter(|container| container.record().mounts.iter().any(uses))
        .map(|container| container.id.clone())
        .collect()
}

/// Takes the mounts of an ended container's volumes away that no other live one uses.
pub fn release(engine: &Engine, record: &crate::containers::Record) {
    for used in &record.mounts {
        let Source::Volume { name, .. } = &used.source else { continue };
        let is_mount = engine.volumes.snapshot().get(name).is_some_and(|kept| !kept.options.is_empty());
        let is_live = |id: &String| {
            let other = engine.containers.get(id).map(|other| other.record().state.phase.is_live());
            *id != record.id && other == Some(true)
        };
        let is_over = is_mount && !users(engine, name).iter().any(is_live);
        if is_over && let Err(error) = mount::unmount(&engine.volumes.path(name)) {
            tracing::warn!(volume = name, error = %error.chain(), "cannot unmount a volume");
        }
    }
}

/// One volume.
///
/// # Errors
/// It is not there.
pub fn inspect(engine: &Engine, name: &str) -> Result<Volume> {
    let all = engine.volumes.snapshot();
    all.get(name).map(|kept| engine.volumes.show(name, kept)).ok_or_else(|| missing(name))
}

/// All volumes that pass.
///
/// # Errors
/// A filter's value is malformed.
pub fn list(engine: &Engine, filters: &Filters) -> Result<VolumeList> {
    let dangling = filters.truth("dangling")?;
    let volumes = engine
        .volumes
        .snapshot()
        .iter()
        .filter(|(name, kept)| {
            filters.accepts("name", |part| name.contains(part))
                && filters.accepts("driver", |driver| driver == "local")
                && filters.labels("label", &kept.labels)
                && filters.without_labels(&kept.labels)
                && dangling.is_none_or(|dangling| dangling == users(engine, name).is_empty())
        })
        .map(|(name, kept)| engine.volumes.show(name, kept))
        .collect();
    Ok(VolumeList { volumes: Some(volumes), warnings: None })
}

/// Creates a volume on somebody's behalf.
///
/// # Errors
/// As [`Volumes::create`].
pub fn create(engine: &Engine, wish: &engine_api::volume::VolumeCreate) -> Result<Volume> {
    if !matches!(wish.driver.as_str(), "" | "local") {
        return Err(Error::not_found(format!(
            "error looking up volume plugin {}: plugin \"{}\" not found",
            wish.driver, wish.driver
        )));
    }
    let name = engine.volumes.create(&wish.name, &wish.driver_opts, &wish.labels)?;
    engine.events.tell(
        "volume",
        "create",
        &name,
        BTreeMap::from([("driver".to_owned(), "local".to_owned())]),
    );
    inspect(engine, &name)
}

/// Removes a volume on somebody's behalf.
///
/// # Errors
/// It is in use, or not there and nobody forces it.
pub fn remove(engine: &Engine, name: &str, is_forced: bool) -> Result<()> {
    let users = users(engine, name);
    if !users.is_empty() {
        return Err(Error::failed_precondition(format!(
            "remove {name}: volume is in use - [{}]",
            users.join(", ")
        )));
    }
    match engine.volumes.remove(name) {
        Err(error) if error.kind() == errdefs::Kind::NotFound && is_forced => return Ok(()),
        other => other?,
    }
    engine.events.tell(
        "volume",
        "destroy",
        name,
        BTreeMap::from([("driver".to_owned(), "local".to_owned())]),
    );
    Ok(())
}

/// Removes volumes that nobody uses: anonymous ones, or all.
///
/// # Errors
/// A filter's value is malformed.
pub fn prune(engine: &Engine, filters: &Filters, with_named: bool) -> Result<VolumesPruned> {
    let with_named = filters.truth("all")?.unwrap_or(with_named);
    let mut pruned = VolumesPruned { volumes_deleted: Some(Vec::new()), space_reclaimed: 0 };
    for (name, kept) in engine.volumes.snapshot() {
        let is_wanted = (with_named || kept.is_anonymous)
            && filters.labels("label", &kept.labels)
            && filters.without_labels(&kept.labels);
        if !is_wanted || !users(engine, &name).is_empty() {
            continue;
        }
        let bytes = copy::size(&engine.volumes.path(&name));
        if remove(engine, &name, false).is_ok() {
            pruned.space_reclaimed += bytes;
            pruned.volumes_deleted.get_or_insert_default().push(name);
        }
    }
    Ok(pruned)
}

/// All volumes with users and sizes, for `system df`.
pub fn usage(engine: &Engine) -> Vec<Volume> {
    let size = |name: &str| i64::try_from(copy::size(&engine.volumes.path(name))).unwrap_or(i64::MAX);
    engine
        .volumes
        .snapshot()
        .iter()
        .map(|(name, kept)| {
            let usage = engine_api::volume::UsageData {
                ref_count: users(engine, name).len() as i64,
                size: size(name),
            };
            Volume { usage_data: Some(usage), ..engine.volumes.show(name, kept) }
        })
        .collect()
}
