//! All containers, by identifier, by name, and by what people type.

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use errdefs::{Error, Result};

use super::{Container, Record};
use crate::files::{Promise, failed};

/// A container's record, in its directory.
const RECORD: &str = "config.json";

/// All containers of the engine.
pub struct Index {
    directory: PathBuf,
    all: RwLock<All>,
    cut_short: Mutex<Vec<String>>,
}

#[derive(Default)]
struct All {
    by_id: BTreeMap<String, Arc<Container>>,
    by_name: HashMap<String, String>,
}

impl Index {
    /// Reads what is on disk. What cannot be read is told and left where it is.
    ///
    /// # Errors
    /// The directory cannot be read.
    pub fn load(directory: &Path) -> Result<Index> {
        let mut all = All::default();
        let mut cut_short = Vec::new();
        for entry in fs::read_dir(directory).map_err(failed("read", directory))?.flatten() {
            let path = entry.path();
            if is_cut_short(&path) {
                cut_short.push(entry.file_name().to_string_lossy().into_owned());
                continue;
            }
            match read(&path) {
                Ok(record) => all.add(Container::new(path, record)),
                Err(error) => {
                    tracing::error!(path = %path.display(), error = %error.chain(), "cannot load a container")
                }
            }
        }
        Ok(Index { directory: directory.to_owned(), all: RwLock::new(all), cut_short: Mutex::new(cut_short) })
    }

    /// The identifiers of containers that an engine was killed over while it made or removed them. Their
    /// directories stand until the supervisor has nothing more of them.
    pub fn take_cut_short(&self) -> Vec<String> {
        std::mem::take(&mut *self.cut_short.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Takes a name for an identifier.
    ///
    /// # Errors
    /// Somebody has it.
    pub fn reserve(&self, name: &str, id: &str) -> Result<()> {
        let mut all = self.write();
        match all.by_name.get(name) {
            Some(owner) => Err(Error::already_exists(format!(
                "Conflict. The container name \"/{name}\" is already in use by container \"{owner}\". You have to \
                 remove (or rename) that container to be able to reuse that name."
            ))),
            None => {
                all.by_name.insert(name.to_owned(), id.to_owned());
                Ok(())
            }
        }
    }

    /// Gives a name back.
    pub fn release(&self, name: &str) {
        self.write().by_name.remove(name);
    }

    /// Adds a container whose name is reserved, and writes it down.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn add(&self, record: Record, promise: Promise) -> Result<Arc<Container>> {
        let directory = self.directory.join(&record.id);
        let container = Container::new(directory, record);
        container.store(&container.record(), promise)?;
        let container = Arc::new(container);
        self.write().by_id.insert(container.id.clone(), container.clone());
        Ok(container)
    }

    /// Where a container's files will be.
    pub fn directory_of(&self, id: &str) -> PathBuf {
        self.directory.join(id)
    }

    /// Forgets a container and its name.
    pub fn remove(&self, id: &str) {
        let mut all = self.write();
        if let Some(container) = all.by_id.remove(id) {
            let name = container.record().name.clone();
            if all.by_name.get(&name).is_some_and(|owner| owner == id) {
                all.by_name.remove(&name);
            }
        }
    }

    /// By full identifier.
    pub fn get(&self, id: &str) -> Option<Arc<Container>> {
        self.read().by_id.get(id).cloned()
    }

    /// By what a person types: identifier, name, or the beginning of an identifier.
    ///
    /// # Errors
    /// No container, or more than one, is meant.
    pub fn find(&self, typed: &str) -> Result<Arc<Container>> {
        let all = self.read();
        if let Some(container) = all.by_id.get(typed) {
            return Ok(container.clone());
        }
        let name = typed.strip_prefix('/').unwrap_or(typed);
        if let Some(container) = all.by_name.get(name).and_then(|id| all.by_id.get(id)) {
            return Ok(container.clone());
        }
        if let Some(container) = all.linked(name) {
            return Ok(container);
        }
        let missing = || Error::not_found(format!("No such container: {typed}"));
        if typed.is_empty() {
            return Err(missing());
        }
        let mut found = all.by_id.range(typed.to_owned()..).take_while(|(id, _)| id.starts_with(typed));
        match (found.next(), found.next()) {
            (Some((_, container)), None) => Ok(container.clone()),
            (Some(_), Some(_)) => {
                Err(Error::invalid_argument(format!("multiple IDs found with provided prefix: {typed}")))
            }
            (None, _) => Err(missing()),
        }
    }

    /// All of them.
    pub fn all(&self) -> Vec<Arc<Container>> {
        self.read().by_id.values().cloned().collect()
    }

    fn read(&self) -> std::sync::RwLockReadGuard<'_, All> {
        self.all.read().expect("no panic while held")
    }

    fn write(&self) -> std::sync::RwLockWriteGuard<'_, All> {
        self.all.write().expect("no panic while held")
    }
}

impl All {
    /// By the name that another one has for it: `PARENT/ALIAS`.
    fn linked(&self, typed: &str) -> Option<Arc<Container>> {
        let (parent, alias) = typed.split_once('/')?;
        let parent = self.by_id.get(self.by_name.get(parent)?)?.record();
        let link = parent.links.iter().find(|link| link.alias == alias)?;
        self.by_id.get(&link.id).cloned()
    }

    fn add(&mut self, container: Container) {
        self.by_name.insert(container.record().name.clone(), container.id.clone());
        self.by_id.insert(container.id.clone(), Arc::new(container));
    }
}

/// Whether an engine was killed while it made or removed the directory: there is no record, and none of another
/// engine's whose root this may be by mistake.
fn is_cut_short(directory: &Path) -> bool {
    directory.is_dir() && [RECORD, "config.v2.json"].iter().all(|name| !directory.join(name).exists())
}

fn read(directory: &Path) -> Result<Record> {
    let path = directory.join(RECORD);
    let text = fs::read(&path).map_err(failed("read", &path))?;
    serde_json::from_slice(&text)
        .map_err(|cause| Error::internal(format!("cannot read {}", path.display())).with_source(cause))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn index(directory: &Path, ids: &[(&str, &str)]) -> Index {
        let index = Index::load(directory).unwrap();
        for (id, name) in ids {
            index.reserve(name, id).unwrap();
            fs::create_dir(directory.join(id)).unwrap();
            let record = Record { id: (*id).into(), name: (*name).into(), ..Record::default() };
            index.add(record, Promise::Process).unwrap();
        }
        index
    }

    #[test]
    fn what_was_cut_short_is_told_and_what_is_damaged_is_not() {
        let directory = tempfile::tempdir().unwrap();
        for (name, file) in [("cut", "hosts"), ("damaged", RECORD), ("dockers", "config.v2.json")] {
            fs::create_dir(directory.path().join(name)).unwrap();
            fs::write(directory.path().join(name).join(file), "{").unwrap();
        }
        let index = Index::load(directory.path()).unwrap();
        assert!(index.all().is_empty());
        assert_eq!(index.take_cut_short(), ["cut"]);
        assert!(index.take_cut_short().is_empty());
    }

    #[test]
    fn found_by_id_name_and_prefix() {
        let directory = tempfile::tempdir().unwrap();
        let index = index(directory.path(), &[("abc1", "web"), ("abd2", "db"), ("ff", "abc")]);
        let id = |typed: &str| index.find(typed).map(|container| container.id.clone());
        assert_eq!(id("web").unwrap(), "abc1");
        assert_eq!(id("/db").unwrap(), "abd2");
        assert_eq!(id("abd").unwrap(), "abd2");
        assert_eq!(id("abc").unwrap(), "ff", "a name goes before a prefix");
        assert_eq!(id("ab").unwrap_err().to_string(), "multiple IDs found with provided prefix: ab");
        assert_eq!(id("zz").unwrap_err().to_string(), "No such container: zz");
        assert!(id("").is_err());
    }

    #[test]
    fn found_by_what_another_calls_it() {
        let directory = tempfile::tempdir().unwrap();
        let index = index(directory.path(), &[("abc1", "web"), ("abd2", "db")]);
        let link = super::super::links::Link { id: "abd2".into(), alias: "data".into() };
        index.find("web").unwrap().update(|record| record.links.push(link));
        assert_eq!(index.find("/web/data").unwrap().id, "abd2");
        let missing = index.find("web/other").map(|found| found.id.clone()).unwrap_err().to_string();
        assert_eq!(missing, "No such container: web/other");
    }

    #[test]
    fn a_name_is_taken_once_and_survives_a_restart() {
        let directory = tempfile::tempdir().unwrap();
        drop(index(directory.path(), &[("abc1", "web")]));
        let again = Index::load(directory.path()).unwrap();
        let error = again.reserve("web", "other").unwrap_err();
        assert!(error.to_string().contains("is already in use by container \"abc1\""));
        again.remove("abc1");
        again.reserve("web", "other").unwrap();
    }
}
