//! Writes an archive: ustar headers, with PAX records for what they cannot hold.

use std::io::{self, Read, Write};

use crate::entry::{Entry, Kind, Time};
use crate::header::{BLOCK, Fields, octal_limit};
use crate::ids::Ids;
use crate::pax::{XATTR, put_record, time_text};
use crate::{Error, Result};

/// An archive under writing; [`Writer::finish`] ends it.
pub struct Writer<W> {
    inner: W,
    ids: Option<Ids>,
}

impl<W: Write> Writer<W> {
    /// Writes a plain archive to `inner`.
    pub fn new(inner: W) -> Writer<W> {
        Writer { inner, ids: None }
    }

    /// Entries come with the host's ids from now on, and are written with those of a container.
    #[must_use]
    pub fn with_ids(mut self, ids: Option<Ids>) -> Writer<W> {
        self.ids = ids;
        self
    }

    /// Adds an entry whose body is the next `entry.size` bytes of `body` (none but files have one).
    /// Holes are written as zeros: `entry.segments` is not looked at.
    ///
    /// # Errors
    /// The stream fails, or `body` is too short.
    pub fn append(&mut self, entry: &Entry, body: &mut dyn Read) -> Result<()> {
        let size = if entry.kind == Kind::File { entry.size } else { 0 };
        self.header(entry, size)?;
        let copied = io::copy(&mut body.take(size), &mut self.inner).map_err(Error::Write)?;
        if copied != size {
            return Err(Error::file("read", &entry.path, io::Error::from(io::ErrorKind::UnexpectedEof)));
        }
        self.pad(size)
    }

    /// Writes the two blocks that end an archive, flushes, and gives the stream back.
    ///
    /// # Errors
    /// The stream fails.
    pub fn finish(mut self) -> Result<W> {
        self.inner.write_all(&[0; 2 * BLOCK]).and_then(|()| self.inner.flush()).map_err(Error::Write)?;
        Ok(self.inner)
    }

    fn pad(&mut self, size: u64) -> Result<()> {
        let padding = (size.wrapping_neg() % BLOCK as u64) as usize;
        self.inner.write_all(&[0; BLOCK][..padding]).map_err(Error::Write)
    }

    fn header(&mut self, entry: &Entry, size: u64) -> Result<()> {
        let path = written_path(entry);
        let (prefix, name, path_fits) = split_path(&path);
        let mut records = Vec::new();
        if !path_fits {
            put_record(&mut records, b"path", &path);
        }
        if entry.link.len() > 100 || !entry.link.is_ascii() {
            put_record(&mut records, b"linkpath", &entry.link);
        }
        if size > octal_limit(12) {
            put_record(&mut records, b"size", size.to_string().as_bytes());
        }
        let owner = (entry.uid, entry.gid);
        let owner = self.ids.as_ref().map_or(owner, |ids| ids.inside(owner));
        for (key, id) in [(&b"uid"[..], owner.0), (b"gid", owner.1)] {
            if u64::from(id) > octal_limit(8) {
                put_record(&mut records, key, id.to_string().as_bytes());
            }
        }
        let Time { seconds, nanoseconds } = entry.modified;
        if nanoseconds != 0 || u64::try_from(seconds).map_or(true, |s| s > octal_limit(12)) {
            put_record(&mut records, b"mtime", time_text(entry.modified).as_bytes());
        }
        for (attribute, value) in &entry.xattrs {
            put_record(&mut records, &[XATTR, attribute].concat(), value);
        }
        if !records.is_empty() {
            self.extended(&name, &records)?;
        }
        let fields = Fields {
            name: &name,
            prefix: &prefix,
            type_flag: type_flag(entry.kind),
            mode: entry.mode & 0o7777,
            uid: u64::from(owner.0),
            gid: u64::from(owner.1),
            size,
            modified: u64::try_from(seconds).unwrap_or(0),
            link: &entry.link,
            device: entry.device,
        };
        self.inner.write_all(&fields.block()).map_err(Error::Write)
    }

    fn extended(&mut self, name: &[u8], records: &[u8]) -> Result<()> {
        let base = name.split(|b| *b == b'/').rfind(|part| !part.is_empty()).unwrap_or_default();
        let name = [b"PaxHeaders.0/", &base[..base.len().min(80)]].concat();
        let fields = Fields {
            name: &name,
            prefix: b"",
            type_flag: b'x',
            mode: 0o644,
            uid: 0,
            gid: 0,
            size: records.len() as u64,
            modified: 0,
            link: b"",
            device: (0, 0),
        };
        self.inner.write_all(&fields.block()).map_err(Error::Write)?;
        self.inner.write_all(records).map_err(Error::Write)?;
        self.pad(records.len() as u64)
    }
}

/// Directories end in a slash.
fn written_path(entry: &Entry) -> Vec<u8> {
    let mut path = entry.path.clone();
    if entry.kind == Kind::Directory && !path.ends_with(b"/") {
        path.push(b'/');
    }
    path
}

/// Splits a path over the prefix and name fields; `false` when it does not fit whole.
fn split_path(path: &[u8]) -> (Vec<u8>, Vec<u8>, bool) {
    if !path.is_ascii() {
        return (
            Vec::new(),
            path.iter().map(|b| if b.is_ascii() { *b } else { b'_' }).take(100).collect(),
            false,
        );
    }
    if path.len() <= 100 {
        return (Vec::new(), path.to_vec(), true);
    }
    let slash = path.iter().enumerate().position(|(at, byte)| {
        *byte == b'/' && at > 0 && at <= 155 && (1..=100).contains(&(path.len() - at - 1))
    });
    match slash {
        Some(at) => (path[..at].to_vec(), path[at + 1..].to_vec(), true),
        None => (Vec::new(), path[..100].to_vec(), false),
    }
}

fn type_flag(kind: Kind) -> u8 {
    match kind {
        Kind::File => b'0',
        Kind::HardLink => b'1',
        Kind::Symlink => b'2',
        Kind::CharDevice => b'3',
        Kind::BlockDevice => b'4',
        Kind::Directory => b'5',
        Kind::Fifo => b'6',
    }
}
