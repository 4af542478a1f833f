//! Content-addressed blobs on disk: `blobs/<algorithm>/<hex>`, and the ingests that become blobs.
//!
//! The layout is containerd's local content store, so either daemon can take over the other's directory:
//! `ingest/<sha256 of the reference>/{ref,data,startedat,updatedat,total}`. Everything here is synchronous.
//! Order at commit: data fsync, rename, directory fsync; only then may a record name the blob.

mod hash;
mod hashing;
mod ingest;
mod reader;
mod store;
mod writer;

pub use hash::Hasher;
pub use reader::ReaderAt;
pub use reference::Digest;
pub use store::Store;
pub use writer::Writer;

use std::time::SystemTime;

/// A blob.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Info {
    /// Its name.
    pub digest: Digest,
    /// Bytes.
    pub size: u64,
    /// When it was committed.
    pub modified: SystemTime,
}

/// An ingest: bytes that are not a blob yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Status {
    /// The name that the writer chose.
    pub reference: String,
    /// Bytes received.
    pub offset: u64,
    /// Bytes expected; 0 when unknown.
    pub total: u64,
    /// The digest expected.
    pub expected: Option<Digest>,
    /// When the first writer opened it.
    pub started: SystemTime,
    /// When bytes last arrived.
    pub updated: SystemTime,
}

/// What a writer is opened with.
#[derive(Clone, Debug, Default)]
pub struct WriterOptions {
    /// The name of the ingest; a second open of the same name resumes it.
    pub reference: String,
    /// Bytes expected; 0 when unknown.
    pub total: u64,
    /// The digest expected; checked at commit unless another is given there.
    pub expected: Option<Digest>,
}
