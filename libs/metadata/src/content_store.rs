//! Blobs as a namespace sees them.

use crate::database::{Namespace, SharingPolicy};
use crate::labels::{now, validate_labels};
use crate::pins::Pin;
use crate::row::{Ingest, Key, Resource, Row};
use crate::writer::{CommitOptions, ContentWriter};
use crate::{Labels, mask};
use containerd_api::Timestamp;
use containerd_api::events::ContentDelete;
use containerd_api::services::content::v1::Info;
use content::{Digest, ReaderAt, Status, WriterOptions};
use errdefs::{Error, Kind, Result};
use filters::{Adaptor, Filters, map_field};
use std::borrow::Cow;
use std::time::{Duration, SystemTime};

/// How long an ingest lives that no lease holds.
pub(crate) const INGEST_LIFE: Duration = Duration::from_secs(24 * 60 * 60);
/// Namespaces with this label set to `true` give their blobs under the isolated policy too.
const SHAREABLE: &str = "containerd.io/namespace.shareable";

/// The content of a namespace.
#[derive(Clone)]
pub struct Content(pub(crate) Namespace);

struct Fields<'a>(&'a Info);

impl Adaptor for Fields<'_> {
    fn field(&self, path: &[&str]) -> Option<Cow<'_, str>> {
        match path {
            ["digest"] => Some(Cow::Borrowed(&self.0.digest)),
            ["labels", key @ ..] => map_field(&self.0.labels, key),
            _ => None,
        }
    }
}

fn missing(digest: &str) -> Error {
    Error::not_found(format!("content digest {digest}"))
}

fn no_reference(reference: &str) -> Error {
    Error::not_found(format!("reference {reference}"))
}

/// When an ingest without a lease that starts now expires.
pub(crate) fn expiry(started: SystemTime) -> Timestamp {
    events::timestamp(started + INGEST_LIFE)
}

impl Content {
    /// Size, times and labels of a blob. NotFound `content digest D: not found`.
    pub fn info(&self, digest: &Digest) -> Result<Info> {
        let state = self.0.core().read();
        let found = state.namespace(&self.0.name).and_then(|namespace| namespace.blobs.get(digest.as_str()));
        found.cloned().ok_or_else(|| missing(digest.as_str()))
    }

    /// Those that match one of the filters, by digest.
    pub fn list(&self, filters: &[String]) -> Result<Vec<Info>> {
        let filters = Filters::parse(filters)?;
        let state = self.0.core().read();
        let blobs = state.namespace(&self.0.name).into_iter().flat_map(|namespace| namespace.blobs.values());
        Ok(blobs.filter(|info| filters.matches(&Fields(info))).cloned().collect())
    }

    /// Changes labels: paths `labels` or `labels.K`; none replaces them all.
    pub fn update(&self, info: &Info, paths: &[String]) -> Result<Info> {
        self.0.core().change(|state, changes| {
            let namespace = state.namespace(&self.0.name);
            let stored = namespace.and_then(|namespace| namespace.blobs.get(&info.digest));
            let mut updated = stored.cloned().ok_or_else(|| missing(&info.digest))?;
            mask::update_labels(&mut updated.labels, &info.labels, paths, || {
                format!("content info {:?}", info.digest)
            })?;
            validate_labels("info.Labels", &updated.labels)?;
            updated.updated_at = Some(now());
            changes.put(Row::Blob(self.0.key(), updated.clone()));
            Ok(updated)
        })
    }

    /// Forgets the blob in this namespace; the file goes with the next collection.
    pub fn delete(&self, digest: &Digest) -> Result<()> {
        self.0.core().change(|state, changes| {
            let namespace = state.namespace(&self.0.name).ok_or_else(|| missing(digest.as_str()))?;
            if !namespace.blobs.contains_key(digest.as_str()) {
                return Err(missing(digest.as_str()));
            }
            changes.release(&self.0.name, namespace, &Resource::Content(digest.to_string()));
            changes.event(&self.0.name, "/content/delete", &ContentDelete { digest: digest.to_string() });
            changes.remove(Key::Blob(self.0.key(), digest.to_string()));
            Ok(())
        })?;
        self.0.db.inner.runs.mark_dirty(digest.as_str());
        Ok(())
    }

    /// Opens a blob for reading at any offset.
    pub fn reader(&self, digest: &Digest) -> Result<ReaderAt> {
        self.info(digest)?;
        self.0.db.inner.content.reader(digest)
    }

    /// A whole blob, refused when it is larger than `limit_bytes`: manifests and configs.
    pub fn read(&self, digest: &Digest, limit_bytes: u64) -> Result<Vec<u8>> {
        self.reader(digest)?.read_all(limit_bytes)
    }

    /// Opens or resumes an ingest. AlreadyExists when the expected blob is here (it joins the lease),
    /// Unavailable while another writer has the reference.
    pub fn writer(&self, options: WriterOptions) -> Result<ContentWriter> {
        if options.reference.is_empty() {
            return Err(Error::invalid_argument("ref must not be empty"));
        }
        if let Some(expected) = &options.expected {
            self.refuse_present(expected)?;
        }
        let number = self.0.core().next_number()?;
        let shared = options.expected.clone().and_then(|expected| self.share(&expected, options.total));
        let pin = self.0.pins().pin(Pin::Ingest(self.0.key(), options.reference.clone()));
        let ingest = self.record_ingest(&options, number)?;
        let backend = WriterOptions { reference: ingest.backend.clone(), ..options.clone() };
        ContentWriter::open(self.0.clone(), options, backend, shared, pin)
    }

    /// AlreadyExists `content D: already exists` when the namespace has the blob; it joins the lease first.
    fn refuse_present(&self, digest: &Digest) -> Result<()> {
        let present = self.0.core().change(|state, changes| {
            let namespace = state.namespace(&self.0.name);
            if !namespace.is_some_and(|namespace| namespace.blobs.contains_key(digest.as_str())) {
                return Ok(false);
            }
            changes.hold(&self.0.name, namespace, self.0.lease(), Resource::Content(digest.to_string()))?;
            Ok(true)
        })?;
        if present { Err(Error::already_exists(format!("content {digest}"))) } else { Ok(()) }
    }

    /// Pins a blob that another namespace gives to this one; `None` when there is no such or its size differs.
    fn share(&self, digest: &Digest, total: u64) -> Option<(crate::pins::Guard, u64)> {
        let pin = self.0.pins().pin(Pin::Blob(digest.to_string()));
        let gives = |labels: &Labels| {
            self.0.db.inner.sharing == SharingPolicy::Shared
                || labels.get(SHAREABLE).is_some_and(|value| value == "true")
        };
        let state = self.0.core().read();
        let blob = state
            .namespaces
            .values()
            .filter(|namespace| gives(&namespace.labels))
            .find_map(|namespace| namespace.blobs.get(digest.as_str()))?;
        let size = u64::try_from(blob.size).ok()?;
        (total == 0 || total == size).then_some((pin, size))
    }

    /// The record of the ingest, made or found. It is not waited for: the writer sees to it once there is much
    /// to lose.
    fn record_ingest(&self, options: &WriterOptions, number: u64) -> Result<Ingest> {
        let reference = &options.reference;
        self.0.core().change_lazily(|state, changes| {
            let namespace = state.namespace(&self.0.name);
            let stored = namespace.and_then(|namespace| namespace.ingests.get(reference));
            changes.ensure_namespace(state, &self.0.name);
            changes.hold(&self.0.name, namespace, self.0.lease(), Resource::Ingest(reference.clone()))?;
            let expires_at = self.0.lease().is_none().then(|| expiry(SystemTime::now()));
            let mut ingest = stored.cloned().unwrap_or_else(|| Ingest {
                backend: format!("{}/{number}/{reference}", self.0.name),
                ..Ingest::default()
            });
            if let Some(expected) = &options.expected {
                ingest.expected = expected.to_string();
            }
            ingest.expires_at = expires_at;
            changes.put(Row::Ingest(self.0.key(), reference.clone(), ingest.clone()));
            Ok(ingest)
        })
    }

    /// Stores a small blob whose bytes are at hand; one that is here already is fine, and gets the labels too.
    pub fn write(&self, reference: &str, data: &[u8], labels: &Labels) -> Result<Digest> {
        let digest = content::Hasher::of(data);
        let size = data.len() as u64;
        let options =
            WriterOptions { reference: reference.to_owned(), total: size, expected: Some(digest.clone()) };
        let stored = self.writer(options).and_then(|mut writer| {
            if writer.offset() != size {
                writer.truncate(0)?;
                writer.write(data)?;
            }
            writer.commit(CommitOptions { size, expected: Some(digest.clone()), labels: labels.clone() })
        });
        match stored {
            Err(error) if error.kind() == Kind::AlreadyExists => self.add_labels(&digest, labels)?,
            stored => drop(stored?),
        }
        Ok(digest)
    }

    fn add_labels(&self, digest: &Digest, labels: &Labels) -> Result<()> {
        let present = self.info(digest)?;
        if labels.iter().all(|(key, value)| present.labels.get(key) == Some(value)) {
            return Ok(());
        }
        let paths: Vec<String> = labels.keys().map(|key| format!("labels.{key}")).collect();
        let info = Info { digest: digest.to_string(), labels: labels.clone(), ..Info::default() };
        self.update(&info, &paths).map(drop)
    }

    fn backend_reference(&self, reference: &str) -> Option<String> {
        let state = self.0.core().read();
        Some(state.namespace(&self.0.name)?.ingests.get(reference)?.backend.clone())
    }

    /// An ingest's status. NotFound.
    pub fn status(&self, reference: &str) -> Result<Status> {
        let backend = self.backend_reference(reference).ok_or_else(|| no_reference(reference))?;
        let mut status = self.0.db.inner.content.status(&backend)?;
        status.reference = reference.to_owned();
        Ok(status)
    }

    /// Every ingest that matches one of the filters (`ref`).
    pub fn statuses(&self, filters: &[String]) -> Result<Vec<Status>> {
        let filters = Filters::parse(filters)?;
        let references: Vec<String> = {
            let state = self.0.core().read();
            let ingests =
                state.namespace(&self.0.name).into_iter().flat_map(|namespace| namespace.ingests.keys());
            ingests.cloned().collect()
        };
        let mut statuses = Vec::new();
        for reference in references {
            let object = |path: &[&str]| (path == ["ref"]).then(|| reference.clone());
            if !filters.matches(&object) {
                continue;
            }
            match self.status(&reference) {
                Ok(status) => statuses.push(status),
                // It was committed or aborted meanwhile, or shares a blob and has no bytes of its own.
                Err(error) if error.kind() == Kind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
        Ok(statuses)
    }

    /// Drops an ingest, an open one too. NotFound.
    pub fn abort(&self, reference: &str) -> Result<()> {
        let backend = self.0.core().change(|state, changes| {
            let namespace = state.namespace(&self.0.name).ok_or_else(|| no_reference(reference))?;
            let ingest = namespace.ingests.get(reference).ok_or_else(|| no_reference(reference))?;
            changes.release(&self.0.name, namespace, &Resource::Ingest(reference.to_owned()));
            changes.remove(Key::Ingest(self.0.key(), reference.to_owned()));
            Ok(ingest.backend.clone())
        })?;
        match self.0.db.inner.content.abort(&backend) {
            Err(error) if error.kind() != Kind::NotFound => Err(error),
            _ => Ok(()),
        }
    }
}
