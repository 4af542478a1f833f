//! Writing content in a namespace.

use crate::database::Namespace;
use crate::labels::{now, validate_labels};
use crate::pins::{Guard, Pin};
use crate::row::{Key, Resource, Row};
use crate::{Labels, mask};
use containerd_api::events::ContentCreate;
use containerd_api::services::content::v1::Info;
use content::{Digest, Hasher, Status, WriterOptions};
use errdefs::{Error, Kind, Result};
use std::time::SystemTime;

/// Bytes from which on an ingest's record is made durable: it is worth resuming then. One that is smaller when
/// the daemon dies goes with it.
const WORTH_KEEPING: u64 = 1 << 20;

/// What a commit checks and records.
#[derive(Clone, Debug, Default)]
pub struct CommitOptions {
    /// The size that must have been written; 0 checks nothing.
    pub size: u64,
    /// The digest that must result.
    pub expected: Option<Digest>,
    /// Labels of the blob in this namespace.
    pub labels: Labels,
}

/// An open ingest; dropping it keeps the bytes for a later resume and frees the reference.
pub struct ContentWriter {
    namespace: Namespace,
    options: WriterOptions,
    backend: WriterOptions,
    source: Source,
    started: SystemTime,
    /// The record of the ingest is durable.
    recorded: bool,
    /// The ingest is a root of collection while it is open.
    _open: Guard,
}

// One of these exists for each open writer.
#[allow(clippy::large_enum_variant)]
enum Source {
    /// Bytes of its own.
    Own(content::Writer),
    /// A blob that another namespace has, with its size; nothing was written.
    Shared(Digest, u64, #[allow(dead_code)] Guard),
    /// Committed.
    Closed,
}

impl Drop for ContentWriter {
    /// What stays for a later resume has its record.
    fn drop(&mut self) {
        if matches!(self.source, Source::Own(_))
            && !self.recorded
            && self.offset() > 0
            && let Err(error) = self.namespace.core().flush()
        {
            tracing::warn!(error = error.chain(), "an ingest may not outlive the daemon");
        }
    }
}

impl ContentWriter {
    pub(crate) fn open(
        namespace: Namespace,
        options: WriterOptions,
        backend: WriterOptions,
        shared: Option<(Guard, u64)>,
        open: Guard,
    ) -> Result<ContentWriter> {
        let store = &namespace.db.inner.content;
        let source = match (shared, &options.expected) {
            (Some((pin, size)), Some(digest)) if !store.is_open(&backend.reference) => {
                Source::Shared(digest.clone(), size, pin)
            }
            _ => Source::Own(open_own(store, &backend)?),
        };
        let (started, recorded) = (SystemTime::now(), false);
        Ok(ContentWriter { namespace, options, backend, source, started, recorded, _open: open })
    }

    /// Where it stands. The reference is the one the caller gave.
    pub fn status(&self) -> Status {
        let mut status = match &self.source {
            Source::Own(writer) => writer.status().clone(),
            Source::Shared(..) | Source::Closed => Status {
                reference: String::new(),
                offset: self.offset(),
                total: self.offset(),
                expected: None,
                started: self.started,
                updated: self.started,
            },
        };
        status.reference = self.options.reference.clone();
        status.expected = self.options.expected.clone();
        status
    }

    /// The digest of the bytes so far.
    pub fn digest(&self) -> Digest {
        match &self.source {
            Source::Own(writer) => writer.digest(),
            Source::Shared(digest, ..) => digest.clone(),
            Source::Closed => self.options.expected.clone().unwrap_or_else(|| Hasher::sha256().digest()),
        }
    }

    /// Bytes so far.
    pub fn offset(&self) -> u64 {
        match &self.source {
            Source::Own(writer) => writer.status().offset,
            Source::Shared(_, size, _) => *size,
            Source::Closed => 0,
        }
    }

    fn closed() -> Error {
        Error::failed_precondition("cannot use closed writer")
    }

    /// Appends; all bytes are taken or it is an error. Bytes after a shared blob copy it first.
    pub fn write(&mut self, data: &[u8]) -> Result<()> {
        if data.is_empty() {
            return Ok(());
        }
        if let Source::Shared(digest, ..) = &self.source {
            let mut reader = self.namespace.db.inner.content.reader(digest)?;
            let mut own = self.own()?;
            let mut buffer = vec![0; 256 << 10];
            loop {
                let count = std::io::Read::read(&mut reader, &mut buffer)
                    .map_err(|cause| Error::unknown("cannot copy shared blob").with_source(cause))?;
                if count == 0 {
                    break;
                }
                own.write(&buffer[..count])?;
            }
            self.source = Source::Own(own);
        }
        match &mut self.source {
            Source::Own(writer) => writer.write(data)?,
            _ => return Err(Self::closed()),
        }
        if !self.recorded && self.offset() >= WORTH_KEEPING {
            self.namespace.core().flush()?;
            self.recorded = true;
        }
        Ok(())
    }

    fn own(&self) -> Result<content::Writer> {
        let mut own = open_own(&self.namespace.db.inner.content, &self.backend)?;
        own.truncate(0)?;
        Ok(own)
    }

    /// Cuts the ingest to `size` bytes; a shared blob is let go.
    pub fn truncate(&mut self, size: u64) -> Result<()> {
        match &mut self.source {
            Source::Own(writer) => writer.truncate(size),
            Source::Shared(_, present, _) if size == *present => Ok(()),
            Source::Shared(..) if size == 0 => {
                self.source = Source::Own(self.own()?);
                Ok(())
            }
            Source::Shared(..) => Err(Error::unimplemented("truncate: unsupported size")),
            Source::Closed => Err(Self::closed()),
        }
    }

    /// Makes the blob durable, then its record. FailedPrecondition when size or digest differ (the bytes
    /// stay), AlreadyExists when the blob is here (the ingest goes, the lease gets the blob).
    pub fn commit(&mut self, mut options: CommitOptions) -> Result<Digest> {
        mask::drop_empty(&mut options.labels);
        validate_labels("info.Labels", &options.labels)?;
        let (offset, reference) = (self.offset(), &self.options.reference);
        if options.size > 0 && options.size != offset {
            return Err(Error::failed_precondition(format!(
                "{reference:?} failed size validation: {offset} != {}",
                options.size
            )));
        }
        let expected = options.expected.clone().or_else(|| self.options.expected.clone());
        let digest = match &self.source {
            Source::Own(writer) if expected.is_none() => writer.digest(),
            Source::Own(_) => expected.clone().unwrap_or_else(|| self.digest()),
            Source::Shared(digest, ..) => match &expected {
                Some(expected) if expected != digest => {
                    return Err(Error::failed_precondition(format!("{reference:?} unexpected digest")));
                }
                _ => digest.clone(),
            },
            Source::Closed => return Err(Self::closed()),
        };
        self.check_lease()?;
        // From before the file appears until the record is in, no collection may take it for an orphan.
        let _pin = self.namespace.pins().pin(Pin::Blob(digest.to_string()));
        if let Source::Own(writer) = &mut self.source {
            match writer.commit(options.size, expected.as_ref()) {
                // The file is another namespace's, or a crash's: it is this blob all the same.
                Err(error) if error.kind() == Kind::AlreadyExists => {}
                committed => drop(committed?),
            }
        }
        let known = self.record(&digest, offset, options.labels)?;
        self.source = Source::Closed;
        self.options.expected = Some(digest.clone());
        if known { Err(Error::already_exists(format!("content {digest}"))) } else { Ok(digest) }
    }

    /// A lease that went meanwhile is found out while the ingest still has its bytes.
    fn check_lease(&self) -> Result<()> {
        match self.namespace.lease() {
            Some(lease) => {
                self.namespace.leases().resources(lease).map(drop).map_err(|error| match error.kind() {
                    Kind::NotFound => Error::not_found("lease does not exist"),
                    _ => error,
                })
            }
            None => Ok(()),
        }
    }

    /// Records the blob in place of the ingest; says whether the namespace had it already.
    fn record(&self, digest: &Digest, size: u64, labels: Labels) -> Result<bool> {
        let (namespace, reference) = (&self.namespace, &self.options.reference);
        namespace.core().change(|state, changes| {
            let records = state.namespace(&namespace.name);
            let known = records.is_some_and(|records| records.blobs.contains_key(digest.as_str()));
            if !known {
                changes.ensure_namespace(state, &namespace.name);
                let stamp = Some(now());
                let info = Info {
                    digest: digest.to_string(),
                    size: i64::try_from(size).unwrap_or(i64::MAX),
                    created_at: stamp,
                    updated_at: stamp,
                    labels,
                };
                let event =
                    ContentCreate { digest: info.digest.clone(), size: info.size, ..Default::default() };
                changes.event(&namespace.name, "/content/create", &event);
                changes.put(Row::Blob(namespace.key(), info));
            }
            changes.hold(
                &namespace.name,
                records,
                namespace.lease(),
                Resource::Content(digest.to_string()),
            )?;
            if let Some(records) = records.filter(|records| records.ingests.contains_key(reference)) {
                changes.release(&namespace.name, records, &Resource::Ingest(reference.clone()));
                changes.forget(Key::Ingest(namespace.key(), reference.clone()));
            }
            Ok(known)
        })
    }
}

/// Opens the ingest in the store, whose own check for the expected blob does not apply: what is there may
/// belong to nobody that this namespace may take it from.
fn open_own(store: &content::Store, backend: &WriterOptions) -> Result<content::Writer> {
    store.writer(WriterOptions { expected: None, ..backend.clone() })
}
