//! Writing content in a namespace.

use crate::Labels;
use content::{Digest, Status};
use errdefs::Result;

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
pub struct ContentWriter(());

impl ContentWriter {
    /// Where it stands. The reference is the one the caller gave.
    pub fn status(&self) -> Result<Status> {
        todo!()
    }
    /// The digest of the bytes so far.
    pub fn digest(&self) -> Digest {
        todo!()
    }
    /// Bytes so far.
    pub fn offset(&self) -> u64 {
        todo!()
    }
    /// Appends; all bytes are taken or it is an error.
    pub fn write(&mut self, _data: &[u8]) -> Result<()> {
        todo!()
    }
    /// Cuts the ingest to `size` bytes; only 0 and the present size are useful, other sizes hash again.
    pub fn truncate(&mut self, _size: u64) -> Result<()> {
        todo!()
    }
    /// Makes the blob durable, then its record. FailedPrecondition when size or digest differ (the bytes
    /// stay), AlreadyExists when the blob is here (the ingest goes, the lease gets the blob).
    pub fn commit(&mut self, _options: CommitOptions) -> Result<Digest> {
        todo!()
    }
}
