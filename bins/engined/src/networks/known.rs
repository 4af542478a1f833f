//! What is kept of networks on disk, and finding one by what people type.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{RwLock, RwLockReadGuard, RwLockWriteGuard};

use engine_api::network::NetworkCreate;
use errdefs::{Error, Result};
use network::BridgeConfig;
use serde::{Deserialize, Serialize};

use crate::config::Config;
use crate::files::Promise;
use crate::time::Time;

/// Networks that are always there.
pub const PREDEFINED: [&str; 3] = ["bridge", "host", "none"];

/// One network.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Known {
    pub id: String,
    pub created: Time,
    /// What a person asked for; none of the predefined.
    pub wish: Option<NetworkCreate>,
    /// The bridge that was made for it, with its subnet and gateway.
    pub bridge: Option<BridgeConfig>,
}

impl Known {
    /// Made by a person: with names, and addresses to choose.
    pub fn is_custom(&self) -> bool {
        self.wish.is_some()
    }

    /// Only what others are made by: it has no bridge, and nobody is on it.
    pub fn is_config_only(&self) -> bool {
        self.wish.as_ref().is_some_and(|wish| wish.config_only)
    }

    /// The driver behind it.
    pub fn driver(&self, name: &str) -> &str {
        match (name, self.wish.as_ref().map(|wish| wish.driver.as_str())) {
            ("host", _) => "host",
            ("none", _) => "null",
            _ if self.is_config_only() => "null",
            (_, Some(driver @ ("macvlan" | "ipvlan"))) => driver,
            _ => "bridge",
        }
    }

    /// Has no way out.
    pub fn is_internal(&self) -> bool {
        self.bridge.as_ref().is_some_and(|bridge| bridge.internal)
    }

    /// Its containers have IPv6 addresses.
    pub fn has_v6(&self) -> bool {
        self.bridge.as_ref().is_some_and(|bridge| bridge.v6.is_some())
    }

    /// An option of the driver.
    pub fn option(&self, name: &str) -> Option<&str> {
        self.wish.as_ref()?.options.as_ref()?.get(name).map(String::as_str)
    }
}

/// All networks by name.
pub struct Table {
    path: PathBuf,
    all: RwLock<BTreeMap<String, Known>>,
}

impl Table {
    /// Reads what is on disk; the predefined are made the first time.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn load(config: &Config) -> Result<Table> {
        let path = config.data("networks.json");
        if let Ok(text) = std::fs::read(&path)
            && let Ok(all) = serde_json::from_slice(&text)
        {
            return Ok(Table { path, all: RwLock::new(all) });
        }
        let new = || Known { id: crate::identity::new_id(), created: Time::now(), ..Known::default() };
        let all = BTreeMap::from(PREDEFINED.map(|name| (name.to_owned(), new())));
        crate::files::replace_json(&path, &all, Promise::Durable)?;
        Ok(Table { path, all: RwLock::new(all) })
    }

    /// All of them.
    pub fn all(&self) -> BTreeMap<String, Known> {
        self.read().clone()
    }

    /// By exact name.
    pub fn get(&self, name: &str) -> Option<Known> {
        self.read().get(name).cloned()
    }

    /// By name, identifier or the beginning of one.
    ///
    /// # Errors
    /// No network, or more than one, is meant.
    pub fn find(&self, typed: &str) -> Result<(String, Known)> {
        let all = self.read();
        if let Some(found) = all.get(typed) {
            return Ok((typed.to_owned(), found.clone()));
        }
        let mut found = all.iter().filter(|(_, network)| !typed.is_empty() && network.id.starts_with(typed));
        match (found.next(), found.next()) {
            (Some((name, network)), None) => Ok((name.clone(), network.clone())),
            (Some(_), Some(_)) => Err(Error::invalid_argument(format!(
                "network {typed} is ambiguous ({typed} matches more than one network)"
            ))),
            (None, _) => Err(Error::not_found(format!("network {typed} not found"))),
        }
    }

    /// Adds one and writes it down.
    ///
    /// # Errors
    /// The name is taken, or the file cannot be written; then nothing has changed.
    pub fn add(&self, name: &str, known: Known) -> Result<()> {
        let mut all = self.write();
        if all.contains_key(name) {
            return Err(Error::already_exists(format!("network with name {name} already exists")));
        }
        all.insert(name.to_owned(), known);
        self.store(&all).inspect_err(|_| drop(all.remove(name)))
    }

    /// Forgets one.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn remove(&self, name: &str) -> Result<()> {
        let mut all = self.write();
        all.remove(name);
        self.store(&all)
    }

    fn store(&self, all: &BTreeMap<String, Known>) -> Result<()> {
        crate::files::replace_json(&self.path, all, Promise::Durable)
    }

    fn read(&self) -> RwLockReadGuard<'_, BTreeMap<String, Known>> {
        self.all.read().expect("no panic while held")
    }

    fn write(&self) -> RwLockWriteGuard<'_, BTreeMap<String, Known>> {
        self.all.write().expect("no panic while held")
    }
}
