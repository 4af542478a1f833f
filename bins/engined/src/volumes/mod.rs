//! Volumes: directories that outlive containers, kept here or by a plugin.

mod copy;
mod create;
mod driver;
mod list;
mod mount;
mod remove;
mod unfinished;
mod users;
mod using;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::RwLock;

use engine_api::volume::Volume;
use errdefs::{Error, Result};
use serde::{Deserialize, Serialize};

use crate::engine::Engine;
use crate::files::{Promise, failed, replace_json};
use crate::time::Time;

pub use copy::copy_up;
pub use create::{Wish, create, ensure};
pub use list::{FILTERS, inspect, list, usage};
pub use remove::{PRUNE_FILTERS, of_container, prune, remove};
pub use using::{release, take, tell_mounted};

/// Docker's name for volumes that the engine keeps itself.
pub const LOCAL: &str = "local";

/// What is known of a volume, in its directory.
const KEPT: &str = "volume.json";
/// The files of a volume that the engine keeps, in its directory.
const DATA: &str = "_data";

/// The volumes of an engine.
pub struct Volumes {
    directory: PathBuf,
    all: RwLock<BTreeMap<String, Kept>>,
    users: users::Users,
}

/// What is kept of a volume on disk: `volume.json`, beside its `_data` if the engine keeps that.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
struct Kept {
    created: Time,
    /// Name of a plugin; empty is the engine itself.
    driver: String,
    labels: BTreeMap<String, String>,
    options: BTreeMap<String, String>,
    is_anonymous: bool,
    /// Where the plugin says that it is.
    mountpoint: String,
}

impl Kept {
    fn driver(&self) -> &str {
        if self.driver.is_empty() { LOCAL } else { &self.driver }
    }

    fn is_local(&self) -> bool {
        self.driver() == LOCAL
    }
}

/// Checks a volume's name.
///
/// # Errors
/// It has characters that no name has.
pub fn check_name(name: &str) -> Result<()> {
    if name.len() == 1 && name.bytes().all(|b| b.is_ascii_alphanumeric()) {
        return Err(Error::invalid_argument(format!(
            "create {name}: volume name is too short, names should be at least two alphanumeric characters"
        )));
    }
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
            let name = entry.file_name().to_string_lossy().into_owned();
            if unfinished::is_swept(&entry.path(), &name) {
                continue;
            }
            let text = std::fs::read(entry.path().join(KEPT)).unwrap_or_default();
            match serde_json::from_slice(&text) {
                Ok(kept) => drop(all.insert(name, kept)),
                Err(error) => tracing::warn!(path = %entry.path().display(), %error, "cannot load a volume"),
            }
        }
        Ok(Volumes { directory: directory.to_owned(), all: RwLock::new(all), users: users::Users::default() })
    }

    /// Where the files of a volume that the engine keeps are.
    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.join(name).join(DATA)
    }

    /// The engine itself keeps the volume.
    pub fn is_local(&self, name: &str) -> bool {
        self.get(name).is_none_or(|kept| kept.is_local())
    }

    /// Driver and place of a volume, as `inspect` shows them.
    pub fn place(&self, name: &str) -> (String, String) {
        let kept = self.get(name).unwrap_or_default();
        (kept.driver().to_owned(), self.mountpoint(name, &kept))
    }

    fn mountpoint(&self, name: &str, kept: &Kept) -> String {
        if kept.is_local() { self.path(name).to_string_lossy().into_owned() } else { kept.mountpoint.clone() }
    }

    fn get(&self, name: &str) -> Option<Kept> {
        self.all.read().expect("no panic while held").get(name).cloned()
    }

    fn snapshot(&self) -> BTreeMap<String, Kept> {
        self.all.read().expect("no panic while held").clone()
    }

    /// Adds a volume, whose directory is `owner`'s, unless it is there; says whether it was added.
    fn add(&self, name: &str, kept: Kept, owner: Option<(u32, u32)>) -> Result<bool> {
        let mut all = self.all.write().expect("no panic while held");
        if all.contains_key(name) {
            return Ok(false);
        }
        let directory = self.directory.join(name);
        let data = if kept.is_local() { self.path(name) } else { directory.clone() };
        std::fs::create_dir_all(&data).map_err(failed("make directory", &data))?;
        if let Some((uid, gid)) = owner.filter(|_| kept.is_local()) {
            std::os::unix::fs::chown(&data, Some(uid), Some(gid)).map_err(failed("give away", &data))?;
        }
        let promise = if kept.is_anonymous { Promise::Process } else { Promise::Durable };
        replace_json(&directory.join(KEPT), &kept, promise)?;
        all.insert(name.to_owned(), kept);
        Ok(true)
    }

    /// Changes where a plugin says that its volume is.
    fn moved(&self, name: &str, mountpoint: &str) {
        let mut all = self.all.write().expect("no panic while held");
        if let Some(kept) = all.get_mut(name)
            && kept.mountpoint != mountpoint
        {
            kept.mountpoint = mountpoint.to_owned();
            let path = self.directory.join(name).join(KEPT);
            if let Err(error) = replace_json(&path, kept, Promise::Process) {
                tracing::warn!(volume = name, error = %error.chain(), "cannot keep where a volume is");
            }
        }
    }

    /// Forgets a volume, and removes its files if they are the engine's.
    fn forget(&self, name: &str) -> Result<()> {
        let mut all = self.all.write().expect("no panic while held");
        let directory = self.directory.join(name);
        // What is mounted there is not the volume's to delete.
        mount::unmount(&self.path(name))?;
        unfinished::remove(&directory, name)?;
        all.remove(name);
        self.users.forget(name);
        Ok(())
    }

    fn show(&self, name: &str, kept: &Kept) -> Volume {
        Volume {
            created_at: if kept.is_local() { kept.created.rfc3339_seconds() } else { String::new() },
            driver: kept.driver().to_owned(),
            labels: if kept.labels.is_empty() { None } else { Some(kept.labels.clone()) },
            mountpoint: self.mountpoint(name, kept),
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

fn tell(engine: &Engine, name: &str, action: &str, driver: &str, more: &[(&str, String)]) {
    let mut attributes = BTreeMap::from([("driver".to_owned(), driver.to_owned())]);
    attributes.extend(more.iter().map(|(key, value)| ((*key).to_owned(), value.clone())));
    engine.events.tell("volume", action, name, attributes);
}
