//! Blobs as a namespace sees them.

use crate::database::Namespace;
use crate::writer::ContentWriter;
use containerd_api::services::content::v1::Info;
use content::{Digest, ReaderAt, Status, WriterOptions};
use errdefs::Result;

/// The content of a namespace.
#[derive(Clone)]
pub struct Content(pub(crate) Namespace);

impl Content {
    /// Size, times and labels of a blob. NotFound `content digest D: not found`.
    pub fn info(&self, _digest: &Digest) -> Result<Info> {
        todo!()
    }
    /// Those that match one of the filters, by digest.
    pub fn list(&self, _filters: &[String]) -> Result<Vec<Info>> {
        todo!()
    }
    /// Changes labels: paths `labels` or `labels.K`; none replaces them all.
    pub fn update(&self, _info: &Info, _paths: &[String]) -> Result<Info> {
        todo!()
    }
    /// Forgets the blob in this namespace; the file goes with the next collection.
    pub fn delete(&self, _digest: &Digest) -> Result<()> {
        todo!()
    }
    /// Opens a blob for reading at any offset.
    pub fn reader(&self, _digest: &Digest) -> Result<ReaderAt> {
        todo!()
    }
    /// A whole blob, refused when it is larger than `limit_bytes`: manifests and configs.
    pub fn read(&self, _digest: &Digest, _limit_bytes: u64) -> Result<Vec<u8>> {
        todo!()
    }
    /// Opens or resumes an ingest. AlreadyExists when the expected blob is here (it joins the lease),
    /// Unavailable while another writer has the reference.
    pub fn writer(&self, _options: WriterOptions) -> Result<ContentWriter> {
        todo!()
    }
    /// Stores a small blob whose bytes are at hand; one that is here already is fine, and gets the labels.
    pub fn write(&self, _reference: &str, _data: &[u8], _labels: &crate::Labels) -> Result<Digest> {
        todo!()
    }
    /// An ingest's status. NotFound.
    pub fn status(&self, _reference: &str) -> Result<Status> {
        todo!()
    }
    /// Every ingest that matches one of the filters (`ref`).
    pub fn statuses(&self, _filters: &[String]) -> Result<Vec<Status>> {
        todo!()
    }
    /// Drops an ingest. NotFound.
    pub fn abort(&self, _reference: &str) -> Result<()> {
        todo!()
    }
}
