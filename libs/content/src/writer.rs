//! Writing a blob.

use crate::hashing::Hashing;
use crate::ingest::{self, Ingest};
use crate::store::{Lock, Store, failed, make_durable, sync_directory};
use crate::{Digest, Hasher, Status, WriterOptions};
use errdefs::{Error, Result};
use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{ErrorKind, Seek, SeekFrom, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// How much may be written before it is sent on to the disk, lest the sync of the commit find all of it to do.
const AHEAD_BYTES: u64 = 8 << 20;

/// An open ingest. Dropping it keeps the bytes for a later resume and frees the reference.
pub struct Writer {
    store: Store,
    directory: PathBuf,
    file: File,
    hashing: Hashing,
    status: Status,
    /// Up to where the bytes were sent on to the disk.
    sent_on: u64,
    /// Committed or aborted: nothing to keep.
    done: bool,
    /// Held last: the reference is free only when the directory is in order.
    _lock: Lock,
}

impl Writer {
    pub(crate) fn open(store: Store, lock: Lock, options: WriterOptions) -> Result<Writer> {
        let directory = store.ingest_path(&options.reference);
        match Writer::resumable(&directory, &options)? {
            Some((file, hasher, status)) => {
                let (hashing, sent_on) = (Hashing::from(hasher), status.offset);
                Ok(Writer { store, directory, file, hashing, status, sent_on, done: false, _lock: lock })
            }
            None => Writer::create(store, lock, directory, options),
        }
    }

    /// What an earlier writer left, hashed. `None` when there is nothing, or its total differs, or it cannot
    /// be read: then it is begun anew.
    fn resumable(directory: &Path, options: &WriterOptions) -> Result<Option<(File, Hasher, Status)>> {
        let Some(Ingest { mut status }) = Ingest::load(directory)? else { return Ok(None) };
        if options.total > 0 && status.total > 0 && status.total != options.total {
            return Ok(None);
        }
        let opened = OpenOptions::new().read(true).write(true).open(directory.join("data"));
        let mut hasher = Hasher::sha256();
        let Ok((file, offset)) = opened.and_then(|mut file| {
            let offset = hasher.update_from(&mut file)?;
            Ok((file, offset))
        }) else {
            return Ok(None);
        };
        status.offset = offset;
        status.total = options.total.max(status.total);
        status.expected = options.expected.clone();
        Ok(Some((file, hasher, status)))
    }

    fn create(store: Store, lock: Lock, directory: PathBuf, options: WriterOptions) -> Result<Writer> {
        match fs::remove_dir_all(&directory) {
            Err(cause) if cause.kind() != ErrorKind::NotFound => {
                return Err(failed("remove ingest", &directory, cause));
            }
            _ => fs::create_dir(&directory).map_err(|cause| failed("make ingest", &directory, cause))?,
        }
        let data = directory.join("data");
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create_new(true)
            .mode(0o666)
            .open(&data)
            .map_err(|cause| failed("make", &data, cause))?;
        // The name comes last: a directory without it is one whose making was cut short.
        ingest::write_small(&directory.join("ref"), &options.reference)?;
        let now = SystemTime::now();
        let status = Status {
            reference: options.reference,
            offset: 0,
            total: options.total,
            expected: options.expected,
            started: now,
            updated: now,
        };
        let hashing = Hashing::from(Hasher::sha256());
        Ok(Writer { store, directory, file, hashing, status, sent_on: 0, done: false, _lock: lock })
    }

    /// Where it stands.
    pub fn status(&self) -> &Status {
        &self.status
    }

    /// The SHA-256 digest of the bytes so far.
    pub fn digest(&self) -> Digest {
        self.hashing.digest()
    }

    /// Appends `data`, hashing it on the way. On an error the bytes that arrived count.
    pub fn write(&mut self, mut data: &[u8]) -> Result<()> {
        while !data.is_empty() {
            match self.file.write(data) {
                Ok(0) => return Err(Error::new(errdefs::Kind::DataLoss, "cannot write blob: short write")),
                Ok(count) => {
                    self.hashing.update(&data[..count]);
                    self.status.offset += count as u64;
                    data = &data[count..];
                    self.send_on();
                }
                Err(cause) if cause.kind() == ErrorKind::Interrupted => {}
                Err(cause) => return Err(failed("write", &self.directory.join("data"), cause)),
            }
        }
        self.status.updated = SystemTime::now();
        Ok(())
    }

    /// Has the disk begin with what was written since the last time, once that is much.
    fn send_on(&mut self) {
        let ahead = self.status.offset - self.sent_on;
        if ahead >= AHEAD_BYTES {
            syscalls::writeback::start(&self.file, self.sent_on, ahead);
            self.sent_on = self.status.offset;
        }
    }

    /// Cuts the ingest to `size` bytes, at most the present size. Hashes again unless that is 0.
    pub fn truncate(&mut self, size: u64) -> Result<()> {
        if size > self.status.offset {
            return Err(Error::out_of_range(format!(
                "cannot truncate to {size}: only {} written",
                self.status.offset
            )));
        }
        if size == self.status.offset {
            return Ok(());
        }
        let mut cut = || {
            self.file.set_len(size)?;
            self.file.seek(SeekFrom::Start(0))?;
            let mut hasher = Hasher::sha256();
            hasher.update_from(&mut self.file)?;
            self.hashing = Hashing::from(hasher);
            self.sent_on = size;
            Ok(())
        };
        cut().map_err(|cause| failed("truncate", &self.directory.join("data"), cause))?;
        self.status.offset = size;
        self.status.updated = SystemTime::now();
        Ok(())
    }

    /// Makes the ingest a blob: checks, data fsync, rename, directory fsync.
    ///
    /// `size` 0 checks no size; `expected` goes before the digest the writer was opened with.
    /// FailedPrecondition when either differs, and the bytes stay. AlreadyExists when the blob is here, and
    /// the ingest is gone.
    pub fn commit(&mut self, size: u64, expected: Option<&Digest>) -> Result<Digest> {
        if self.done {
            return Err(Error::failed_precondition("cannot commit on closed writer"));
        }
        if size > 0 && size != self.status.offset {
            return Err(Error::failed_precondition(format!(
                "unexpected commit size {}, expected {size}",
                self.status.offset
            )));
        }
        let digest = self.checked_digest(expected)?;
        let target = self.store.blob_path(&digest);
        if target.exists() {
            // Whoever put it there may not have come to sync its name, and the caller records it now.
            target.parent().map_or(Ok(()), sync_directory)?;
            self.discard();
            return Err(Error::already_exists(format!("content {digest}")));
        }
        self.publish(&target)?;
        self.discard();
        Ok(digest)
    }

    fn checked_digest(&mut self, expected: Option<&Digest>) -> Result<Digest> {
        let Some(expected) = expected.or(self.status.expected.as_ref()) else { return Ok(self.digest()) };
        let found = if expected.algorithm() == "sha256" {
            self.hashing.digest()
        } else {
            let mut hasher = Hasher::new(expected.algorithm())?;
            self.file
                .seek(SeekFrom::Start(0))
                .and_then(|_| hasher.update_from(&mut self.file))
                .map_err(|cause| failed("read", &self.directory.join("data"), cause))?;
            hasher.digest()
        };
        if found != *expected {
            return Err(Error::failed_precondition(format!(
                "unexpected commit digest {found}, expected {expected}"
            )));
        }
        Ok(found)
    }

    fn publish(&mut self, target: &Path) -> Result<()> {
        let data = self.directory.join("data");
        self.file
            .set_permissions(Permissions::from_mode(0o444))
            .and_then(|()| self.file.sync_data())
            .map_err(|cause| failed("sync", &data, cause))?;
        let parent = target.parent().expect("a blob has a directory");
        make_durable(parent)?;
        fs::rename(&data, target).map_err(|cause| failed("rename to", target, cause))?;
        sync_directory(parent)
    }

    /// Drops the ingest with its bytes.
    pub fn abort(mut self) {
        self.discard();
    }

    fn discard(&mut self) {
        self.done = true;
        // What stays behind without data is no ingest, and the next start removes it.
        let _ = fs::remove_dir_all(&self.directory);
    }

    fn save(&self) -> Result<()> {
        let Status { total, started, updated, .. } = &self.status;
        if *total > 0 {
            ingest::write_small(&self.directory.join("total"), &total.to_string())?;
        }
        ingest::write_small(&self.directory.join("startedat"), &ingest::format_time(*started))?;
        ingest::write_small(&self.directory.join("updatedat"), &ingest::format_time(*updated))
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        // An aborted ingest has no directory any more; the times are a courtesy, the bytes are what counts.
        if !self.done && self.directory.exists() {
            let _ = self.save();
        }
    }
}
