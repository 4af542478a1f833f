//! The directory of blobs and ingests.

use crate::ingest::{self, Ingest};
use crate::{Digest, Hasher, Info, ReaderAt, Status, Writer, WriterOptions};
use errdefs::{Error, Result};
use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

/// The store; clones share one.
#[derive(Clone)]
pub struct Store {
    inner: Arc<Inner>,
}

struct Inner {
    root: PathBuf,
    /// References with an open writer, and since when.
    locked: Mutex<HashMap<String, SystemTime>>,
}

/// A reference held by one writer; dropping it frees the reference.
pub(crate) struct Lock {
    store: Store,
    reference: String,
}

impl Drop for Lock {
    fn drop(&mut self) {
        self.store.locked().remove(&self.reference);
    }
}

/// An error of the store that names the path.
pub(crate) fn failed(verb: &str, path: &Path, cause: io::Error) -> Error {
    let kind = match cause.kind() {
        ErrorKind::NotFound => errdefs::Kind::NotFound,
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => errdefs::Kind::ResourceExhausted,
        _ => errdefs::Kind::Unknown,
    };
    Error::new(kind, format!("cannot {verb} {}", path.display())).with_source(cause)
}

impl Store {
    /// Opens the store at `root`; makes the directories it needs.
    pub fn open(root: &Path) -> Result<Store> {
        for directory in ["blobs/sha256", "ingest"] {
            make_durable(&root.join(directory))?;
        }
        Ok(Store { inner: Arc::new(Inner { root: root.to_owned(), locked: Mutex::default() }) })
    }

    /// Its directory.
    pub fn root(&self) -> &Path {
        &self.inner.root
    }

    fn locked(&self) -> std::sync::MutexGuard<'_, HashMap<String, SystemTime>> {
        self.inner.locked.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Where a blob is, whether it exists or not.
    pub fn blob_path(&self, digest: &Digest) -> PathBuf {
        self.inner.root.join("blobs").join(digest.algorithm()).join(digest.hex())
    }

    pub(crate) fn ingest_path(&self, reference: &str) -> PathBuf {
        self.inner.root.join("ingest").join(ingest::directory_name(reference))
    }

    /// Size and age of a blob. NotFound `content digest D: not found`.
    pub fn info(&self, digest: &Digest) -> Result<Info> {
        let path = self.blob_path(digest);
        let meta = fs::metadata(&path).map_err(|cause| absent(digest, &path, cause))?;
        let modified = meta.modified().unwrap_or(SystemTime::UNIX_EPOCH);
        Ok(Info { digest: digest.clone(), size: meta.len(), modified })
    }

    /// Opens a blob. NotFound.
    pub fn reader(&self, digest: &Digest) -> Result<ReaderAt> {
        let path = self.blob_path(digest);
        let file = File::open(&path).map_err(|cause| absent(digest, &path, cause))?;
        let size = file.metadata().map_err(|cause| failed("stat", &path, cause))?.len();
        Ok(ReaderAt::new(file, size))
    }

    /// Whether a blob's bytes are what its name says: all of them are read. NotFound.
    pub fn is_sound(&self, digest: &Digest) -> Result<bool> {
        let (mut hasher, mut reader) = (Hasher::new(digest.algorithm())?, self.reader(digest)?);
        let path = self.blob_path(digest);
        hasher.update_from(&mut reader).map_err(|cause| failed("read", &path, cause))?;
        Ok(hasher.digest() == *digest)
    }

    /// Every blob, each once, in no order.
    pub fn walk(&self) -> Result<Vec<Info>> {
        let mut infos = Vec::new();
        let blobs = self.inner.root.join("blobs");
        for algorithm in entries(&blobs)? {
            let Ok(word) = algorithm.file_name().into_string() else { continue };
            for entry in entries(&algorithm.path())? {
                let Ok(name) = entry.file_name().into_string() else { continue };
                let Ok(digest) = Digest::parse(&format!("{word}:{name}")) else { continue };
                match self.info(&digest) {
                    Ok(info) => infos.push(info),
                    Err(error) if error.kind() == errdefs::Kind::NotFound => {}
                    Err(error) => return Err(error),
                }
            }
        }
        Ok(infos)
    }

    /// Removes a blob's file. NotFound.
    pub fn delete(&self, digest: &Digest) -> Result<()> {
        let path = self.blob_path(digest);
        fs::remove_file(&path).map_err(|cause| absent(digest, &path, cause))
    }

    /// Opens a writer, resuming what an earlier one left. Unavailable while the reference is open;
    /// AlreadyExists when the expected blob is here.
    pub fn writer(&self, options: WriterOptions) -> Result<Writer> {
        if options.reference.is_empty() {
            return Err(Error::invalid_argument("ref must not be empty"));
        }
        let lock = self.lock(&options.reference)?;
        if let Some(expected) = &options.expected
            && self.blob_path(expected).exists()
        {
            return Err(Error::already_exists(format!("content {expected}")));
        }
        Writer::open(self.clone(), lock, options)
    }

    fn lock(&self, reference: &str) -> Result<Lock> {
        let mut locked = self.locked();
        if let Some(since) = locked.get(reference) {
            let held = since.elapsed().unwrap_or_default();
            let since = jiff::Timestamp::try_from(*since).unwrap_or_default();
            return Err(Error::unavailable(format!("ref {reference} locked for {held:?} (since {since})")));
        }
        locked.insert(reference.to_owned(), SystemTime::now());
        Ok(Lock { store: self.clone(), reference: reference.to_owned() })
    }

    /// Whether a writer has the reference open.
    pub fn is_open(&self, reference: &str) -> bool {
        self.locked().contains_key(reference)
    }

    /// An ingest's status, open or not. NotFound `could not get status for ref R: reference R: not found`.
    pub fn status(&self, reference: &str) -> Result<Status> {
        let ingest = Ingest::load(&self.ingest_path(reference))?.ok_or_else(|| {
            Error::not_found(format!("could not get status for ref {reference}: reference {reference}"))
        })?;
        Ok(ingest.status)
    }

    /// The status of every ingest.
    pub fn statuses(&self) -> Result<Vec<Status>> {
        let mut found = Vec::new();
        for entry in entries(&self.inner.root.join("ingest"))? {
            if let Some(ingest) = Ingest::load(&entry.path())? {
                found.push(ingest.status);
            }
        }
        Ok(found)
    }

    /// Drops an ingest, an open one too. NotFound `reference R: not found`.
    pub fn abort(&self, reference: &str) -> Result<()> {
        let path = self.ingest_path(reference);
        if !path.join("ref").exists() {
            return Err(Error::not_found(format!("reference {reference}")));
        }
        fs::remove_dir_all(&path).map_err(|cause| failed("remove ingest", &path, cause))
    }

    /// Removes ingest directories without a name: what a crash leaves in the middle of making one.
    pub fn remove_torn_ingests(&self) -> Result<usize> {
        let mut removed = 0;
        for entry in entries(&self.inner.root.join("ingest"))? {
            let path = entry.path();
            if Ingest::load(&path)?.is_none() {
                fs::remove_dir_all(&path).map_err(|cause| failed("remove ingest", &path, cause))?;
                removed += 1;
            }
        }
        Ok(removed)
    }
}

/// Makes a directory, with those above it, and every name on the way durable.
pub(crate) fn make_durable(path: &Path) -> Result<()> {
    match fs::create_dir(path) {
        Ok(()) => {}
        Err(cause) if cause.kind() == ErrorKind::AlreadyExists => return Ok(()),
        Err(cause) => match path.parent() {
            Some(parent) if cause.kind() == ErrorKind::NotFound => {
                make_durable(parent)?;
                return make_durable(path);
            }
            _ => return Err(failed("make directory", path, cause)),
        },
    }
    path.parent().map_or(Ok(()), sync_directory)
}

/// Makes the names in a directory durable.
pub(crate) fn sync_directory(path: &Path) -> Result<()> {
    File::open(path)
        .and_then(|directory| directory.sync_all())
        .map_err(|cause| failed("sync directory", path, cause))
}

fn absent(digest: &Digest, path: &Path, cause: io::Error) -> Error {
    if cause.kind() == ErrorKind::NotFound {
        return Error::not_found(format!("content digest {digest}"));
    }
    failed("open blob", path, cause)
}

fn entries(directory: &Path) -> Result<Vec<fs::DirEntry>> {
    let list = || fs::read_dir(directory)?.collect::<io::Result<Vec<_>>>();
    list().map_err(|cause| failed("list", directory, cause))
}
