//! What every snapshotter of directories has in common: records, reservations, removal of files.

use crate::record::{Change, Record, Store};
use crate::snapshotter::{Labels, Usage};
use crate::{Info, Kind, usage};
use containerd_api::Timestamp;
use errdefs::{Error, Result};
use std::collections::HashSet;
use std::fs::{self, Permissions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

/// Directories `root/snapshots/<id>` and their records.
pub(crate) struct Base {
    root: PathBuf,
    store: Arc<dyn Store>,
    /// One change of records at a time; the ids whose directory may exist without a record.
    making: Mutex<HashSet<u64>>,
    sync_remove: bool,
}

/// A snapshot in the making: its directory goes when this is dropped before the record is in.
pub(crate) struct Draft<'a> {
    base: &'a Base,
    pub(crate) id: u64,
    finished: bool,
}

impl Drop for Draft<'_> {
    fn drop(&mut self) {
        if !self.finished {
            // The next cleanup takes what cannot be removed now.
            let _ = fs::remove_dir_all(self.base.directory(self.id));
        }
        self.base.making().remove(&self.id);
    }
}

pub(crate) fn failed(verb: &str, path: &Path, cause: io::Error) -> Error {
    let kind = match cause.kind() {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => errdefs::Kind::ResourceExhausted,
        _ => errdefs::Kind::Unknown,
    };
    Error::new(kind, format!("cannot {verb} {}", path.display())).with_source(cause)
}

pub(crate) fn missing(key: &str) -> Error {
    Error::not_found(format!("snapshot {key} does not exist"))
}

fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp { seconds: since.as_secs() as i64, nanos: since.subsec_nanos() as i32 }
}

impl Base {
    pub(crate) fn open(root: PathBuf, store: Arc<dyn Store>, sync_remove: bool) -> Result<Base> {
        let snapshots = root.join("snapshots");
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&snapshots)
            .map_err(|cause| failed("make directory", &snapshots, cause))?;
        Ok(Base { root, store, making: Mutex::default(), sync_remove })
    }

    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    pub(crate) fn directory(&self, id: u64) -> PathBuf {
        self.root.join("snapshots").join(id.to_string())
    }

    fn making(&self) -> MutexGuard<'_, HashSet<u64>> {
        self.making.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn record(&self, key: &str) -> Result<Record> {
        self.store.get(key).ok_or_else(|| missing(key))
    }

    /// The ids from the parent of `record` down to the base.
    pub(crate) fn ancestors(&self, record: &Record) -> Result<Vec<u64>> {
        let mut ids = Vec::new();
        let mut parent = record.parent.clone();
        while !parent.is_empty() {
            let above = self.store.get(&parent).ok_or_else(|| Error::not_found("parent does not exist"))?;
            ids.push(above.id);
            parent = above.parent;
        }
        Ok(ids)
    }

    /// Begins a snapshot: checks the key and the parent, takes an id.
    pub(crate) fn begin(
        &self,
        key: &str,
        parent: &str,
        kind: Kind,
        labels: &Labels,
    ) -> Result<(Draft<'_>, Record)> {
        if self.store.get(key).is_some() {
            return Err(Error::already_exists(format!("snapshot {key}")));
        }
        if !parent.is_empty() {
            let below = self
                .store
                .get(parent)
                .ok_or_else(|| Error::not_found(format!("missing parent {parent:?} bucket")))?;
            if below.kind != Kind::Committed {
                return Err(Error::invalid_argument(format!("parent {parent:?} is not committed snapshot")));
            }
        }
        let id = self.store.next_id()?;
        self.making().insert(id);
        let stamp = Some(now());
        let record = Record {
            id,
            kind,
            parent: parent.to_owned(),
            labels: labels.clone(),
            usage: None,
            created_at: stamp,
            updated_at: stamp,
        };
        Ok((Draft { base: self, id, finished: false }, record))
    }

    /// Records what [`Base::begin`] began; somebody else may have taken the key or removed the parent.
    pub(crate) fn finish(&self, mut draft: Draft<'_>, key: &str, record: Record) -> Result<()> {
        {
            let _one = self.making();
            if self.store.get(key).is_some() {
                return Err(Error::already_exists(format!("snapshot {key}")));
            }
            if !record.parent.is_empty() && self.store.get(&record.parent).is_none() {
                return Err(Error::not_found(format!("missing parent {:?} bucket", record.parent)));
            }
            self.store.apply(vec![Change::Put(key.to_owned(), record)])?;
        }
        draft.finished = true;
        Ok(())
    }

    pub(crate) fn commit(&self, name: &str, key: &str, parent: &str, labels: &Labels) -> Result<()> {
        let _one = self.making();
        if self.store.get(name).is_some() {
            return Err(Error::already_exists(format!("committed snapshot {name}")));
        }
        let active = self
            .store
            .get(key)
            .ok_or_else(|| Error::not_found(format!("failed to get active snapshot {key:?}")))?;
        if active.kind != Kind::Active {
            return Err(Error::failed_precondition(format!("snapshot {key:?} is not active")));
        }
        if !parent.is_empty() && parent != active.parent {
            self.check_rebase(key, parent, &active)?;
        }
        let parent = if parent.is_empty() { active.parent.clone() } else { parent.to_owned() };
        let stamp = Some(now());
        let record = Record {
            id: active.id,
            kind: Kind::Committed,
            parent,
            labels: labels.clone(),
            usage: None,
            created_at: stamp,
            updated_at: stamp,
        };
        self.store.apply(vec![Change::Remove(key.to_owned()), Change::Put(name.to_owned(), record)])
    }

    /// Only a snapshot that was prepared over nothing can get a parent at commit.
    fn check_rebase(&self, key: &str, parent: &str, active: &Record) -> Result<()> {
        if !active.parent.is_empty() {
            return Err(Error::invalid_argument(format!(
                "cannot change parent of active snapshot {key:?} on commit"
            )));
        }
        let below = self.store.get(parent);
        let below = below
            .ok_or_else(|| Error::not_found(format!("missing parent {parent:?} of snapshot {key:?}")))?;
        if below.kind != Kind::Committed {
            return Err(Error::failed_precondition(format!("parent {parent:?} is not committed")));
        }
        Ok(())
    }

    /// Forgets the record at once and the files soon; a caller that must see them gone asks for `sync_remove`.
    pub(crate) fn remove(&self, key: &str) -> Result<()> {
        let id = {
            let _one = self.making();
            let record = self.record(key)?;
            if self.store.has_children(key) {
                return Err(Error::failed_precondition("cannot remove snapshot with child"));
            }
            self.store.apply(vec![Change::Remove(key.to_owned())])?;
            record.id
        };
        let directory = self.directory(id);
        let erase = move || match fs::remove_dir_all(&directory) {
            Err(cause) if cause.kind() != ErrorKind::NotFound => {
                tracing::warn!(%cause, "cannot remove {}, the next start tries again", directory.display());
            }
            _ => {}
        };
        if self.sync_remove {
            erase();
        } else if let Err(cause) = std::thread::Builder::new().name("erase".into()).spawn(erase) {
            tracing::warn!(%cause, "cannot start a thread to remove snapshot {id}, the next start removes it");
        }
        Ok(())
    }

    /// Changes the labels, of which only the snapshotter's own are here.
    pub(crate) fn update(&self, info: &Info, paths: &[String]) -> Result<Info> {
        let _one = self.making();
        let mut record = self.record(&info.name)?;
        if paths.is_empty() {
            record.labels = info.labels.clone();
        }
        for path in paths {
            match (path.as_str(), path.strip_prefix("labels.")) {
                ("labels", _) => record.labels = info.labels.clone(),
                (_, Some(label)) => match info.labels.get(label) {
                    Some(value) => drop(record.labels.insert(label.to_owned(), value.clone())),
                    None => drop(record.labels.remove(label)),
                },
                _ => {
                    let text = format!("cannot update {path:?} field on snapshot {:?}", info.name);
                    return Err(Error::invalid_argument(text));
                }
            }
        }
        record.updated_at = Some(now());
        let updated = record.info(&info.name);
        self.store.apply(vec![Change::Put(info.name.clone(), record)])?;
        Ok(updated)
    }

    /// Walks an active snapshot; a committed one is walked once, when somebody first asks.
    pub(crate) fn usage(&self, key: &str, directory: &Path) -> Result<Usage> {
        let mut record = self.record(key)?;
        if let Some(usage) = record.usage {
            return Ok(usage);
        }
        let usage = usage::walk(directory).map_err(|cause| failed("measure", directory, cause))?;
        if record.kind == Kind::Committed {
            let _one = self.making();
            if self.store.get(key).is_some_and(|present| present == record) {
                record.usage = Some(usage);
                self.store.apply(vec![Change::Put(key.to_owned(), record)])?;
            }
        }
        Ok(usage)
    }

    pub(crate) fn walk(&self) -> Vec<Info> {
        self.store.list().into_iter().map(|(name, record)| record.info(&name)).collect()
    }

    /// Makes the directory of an id. One that is there is a crash's, which came before the id was recorded as given.
    pub(crate) fn make_directory(&self, id: u64, mode: u32) -> Result<PathBuf> {
        let directory = self.directory(id);
        let make = || {
            fs::DirBuilder::new().mode(mode).create(&directory)?;
            // Whatever the umask is.
            fs::set_permissions(&directory, Permissions::from_mode(mode))
        };
        match make() {
            Err(cause) if cause.kind() == ErrorKind::AlreadyExists => {
                fs::remove_dir_all(&directory).and_then(|()| make())
            }
            made => made,
        }
        .map_err(|cause| failed("make directory", &directory, cause))?;
        Ok(directory)
    }

    /// Looks for every record's directory. For an active one or a view that lacks one of `parts`, `make` makes
    /// what is not there: what was written to it and not synced is lost, as on every file system. The names of
    /// committed ones that are not whole come back.
    pub(crate) fn heal(
        &self,
        parts: impl Fn(Kind) -> &'static [&'static str],
        make: impl Fn(&Record) -> Result<()>,
    ) -> Result<Vec<String>> {
        let mut lost = Vec::new();
        for (name, record) in self.store.list() {
            let directory = self.directory(record.id);
            if directory.is_dir() && parts(record.kind).iter().all(|part| directory.join(part).is_dir()) {
                continue;
            }
            if record.kind == Kind::Committed {
                lost.push(name);
            } else {
                tracing::warn!(snapshot = name, "what was written to a snapshot and not synced is lost");
                if let Err(error) = make(&record) {
                    tracing::error!(snapshot = name, error = error.chain(), "cannot make it anew");
                }
            }
        }
        Ok(lost)
    }

    /// Removes directories that no record names and nobody is making.
    pub(crate) fn cleanup(&self) -> Result<()> {
        let snapshots = self.root.join("snapshots");
        let list = || fs::read_dir(&snapshots)?.collect::<io::Result<Vec<_>>>();
        let entries = list().map_err(|cause| failed("list", &snapshots, cause))?;
        // Asked in this order: what was in the making when its directory was seen is recorded or gone later.
        let making = self.making().clone();
        let recorded: HashSet<u64> = self.store.list().iter().map(|(_, record)| record.id).collect();
        for entry in entries {
            let id = entry.file_name().to_str().and_then(|name| name.parse::<u64>().ok());
            if id.is_some_and(|id| making.contains(&id) || recorded.contains(&id)) {
                continue;
            }
            let path = entry.path();
            match fs::remove_dir_all(&path) {
                Err(cause) if cause.kind() != ErrorKind::NotFound => {
                    return Err(failed("remove", &path, cause));
                }
                _ => {}
            }
        }
        Ok(())
    }
}
