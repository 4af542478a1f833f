//! Two trees to the changes between them.

use std::collections::{BTreeMap, HashMap};
use std::io::{Read, Write, empty};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use archive::{Entry, Kind, Time, WHITEOUT_PREFIX, Writer, describe};
use errdefs::{Error, Result};
use rustix::fs::{self, AtFlags, Dir, FileType, Mode, OFlags, Stat};

use crate::target::io;

/// What is different at a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Change {
    /// New, or other than before.
    Present,
    /// Gone.
    Absent,
    /// The same, but another name of its inode may not be.
    Linked,
}

/// Writes what turns `left` (`None`: the empty tree) into `right`.
pub(crate) fn compare<W: Write>(
    left: Option<BorrowedFd<'_>>,
    right: BorrowedFd<'_>,
    out: &mut Layer<W>,
) -> Result<()> {
    // Reading needs more than the O_PATH descriptors that name a tree.
    let left = left.map(|left| open(left, b".", b"")).transpose()?;
    let right = open(right, b".", b"")?;
    let (left, right) = (left.as_ref().map(AsFd::as_fd), right.as_fd());
    let mut changes = BTreeMap::new();
    let mut inodes = HashMap::new();
    Walk { changes: &mut changes, inodes: &mut inodes }.directory(left, right, b"")?;
    out.inodes_changed = inodes.into_iter().filter(|(_, changed)| *changed).map(|(inode, _)| inode).collect();
    for (path, change) in &changes {
        let (path, change) = (path.join(&b'/'), *change);
        match change {
            Change::Absent => out.whiteout(right, &path)?,
            Change::Present => out.entry(right, &path)?,
            Change::Linked => out.entry_if_link_changed(right, &path)?,
        }
    }
    Ok(())
}

/// Components of a path: ordered so that a directory comes right before what it holds.
type Path = Vec<Vec<u8>>;

struct Walk<'a> {
    changes: &'a mut BTreeMap<Path, Change>,
    /// Inodes with several names, and whether one of these is new.
    inodes: &'a mut HashMap<(u64, u64), bool>,
}

impl Walk<'_> {
    fn directory(&mut self, left: Option<BorrowedFd<'_>>, right: BorrowedFd<'_>, path: &[u8]) -> Result<()> {
        let mut before = match left {
            Some(left) => list(left, path)?,
            None => BTreeMap::new(),
        };
        for (name, stat) in list(right, path)? {
            let child = join(path, &name);
            let old = before.remove(&name);
            let is_directory = is_directory(&stat);
            let same = match (&old, left) {
                (Some(old), Some(left)) => is_same(left, right, &name, old, &stat, &child)?,
                _ => false,
            };
            self.note(&child, &stat, same);
            if is_directory {
                let below = open(right, &name, &child)?;
                let old_below = match (old.filter(self::is_directory), left) {
                    (Some(_), Some(left)) => Some(open(left, &name, &child)?),
                    _ => None,
                };
                self.directory(old_below.as_ref().map(AsFd::as_fd), below.as_fd(), &child)?;
            }
        }
        for name in before.into_keys() {
            self.changes.insert(parts(&join(path, &name)), Change::Absent);
        }
        Ok(())
    }

    fn note(&mut self, path: &[u8], stat: &Stat, same: bool) {
        let several = !is_directory(stat) && stat.st_nlink > 1;
        if several {
            *self.inodes.entry((stat.st_dev, stat.st_ino)).or_default() |= !same;
        }
        if !same {
            self.changes.insert(parts(path), Change::Present);
        } else if several {
            self.changes.insert(parts(path), Change::Linked);
        }
    }
}

fn parts(path: &[u8]) -> Path {
    path.split(|b| *b == b'/').map(<[u8]>::to_vec).collect()
}

fn list(directory: BorrowedFd<'_>, path: &[u8]) -> Result<BTreeMap<Vec<u8>, Stat>> {
    let read = || -> rustix::io::Result<_> {
        let mut found = BTreeMap::new();
        for entry in Dir::read_from(directory)? {
            let entry = entry?;
            let name = entry.file_name().to_bytes();
            if name != b"." && name != b".." {
                found.insert(name.to_vec(), fs::statat(directory, name, AtFlags::SYMLINK_NOFOLLOW)?);
            }
        }
        Ok(found)
    };
    read().map_err(|cause| fail("read directory", path, cause))
}

fn is_directory(stat: &Stat) -> bool {
    FileType::from_raw_mode(stat.st_mode) == FileType::Directory
}

/// Whether two nodes look alike: by inode, else by metadata, else, for files whose times say nothing,
/// by content.
fn is_same(
    left: BorrowedFd<'_>,
    right: BorrowedFd<'_>,
    name: &[u8],
    old: &Stat,
    new: &Stat,
    path: &[u8],
) -> Result<bool> {
    if (old.st_dev, old.st_ino) == (new.st_dev, new.st_ino) {
        return Ok(true);
    }
    let looks = |s: &Stat| (s.st_mode, s.st_uid, s.st_gid, s.st_rdev);
    if looks(old) != looks(new) {
        return Ok(false);
    }
    if is_directory(new) {
        // Its own time changes with what it holds; attributes count.
        return Ok(attributes(left, name, path)? == attributes(right, name, path)?);
    }
    if old.st_size != new.st_size || (old.st_mtime, old.st_mtime_nsec) != (new.st_mtime, new.st_mtime_nsec) {
        return Ok(false);
    }
    let (Some((a, a_file, _)), Some((b, b_file, _))) =
        (describe_at(left, name, path)?, describe_at(right, name, path)?)
    else {
        return Ok(true);
    };
    if a.link != b.link || a.xattrs != b.xattrs {
        return Ok(false);
    }
    match (a_file, b_file) {
        // A time of whole seconds may be an archive's: it says little.
        (Some(a), Some(b)) if new.st_mtime_nsec == 0 => same_bytes(a, b)
            .map_err(|cause| Error::unknown(format!("cannot read {}", show(path))).with_source(cause)),
        _ => Ok(true),
    }
}

fn attributes(directory: BorrowedFd<'_>, name: &[u8], path: &[u8]) -> Result<Vec<(Vec<u8>, Vec<u8>)>> {
    Ok(describe_at(directory, name, path)?.map(|(entry, ..)| entry.xattrs).unwrap_or_default())
}

fn same_bytes(mut a: std::fs::File, mut b: std::fs::File) -> std::io::Result<bool> {
    let (mut left, mut right) = (vec![0; 64 << 10], vec![0; 64 << 10]);
    loop {
        let count = a.read(&mut left)?;
        if count == 0 {
            return Ok(b.read(&mut right)? == 0);
        }
        match b.read_exact(&mut right[..count]) {
            Ok(()) if left[..count] == right[..count] => {}
            Ok(()) => return Ok(false),
            Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => return Ok(false),
            Err(error) => return Err(error),
        }
    }
}

type Described = Option<(Entry, Option<std::fs::File>, Stat)>;

fn describe_at(directory: BorrowedFd<'_>, name: &[u8], path: &[u8]) -> Result<Described> {
    describe(directory, name, path)
        .map_err(|cause| Error::new(cause.kind(), "cannot compare trees").with_source(cause))
}

fn open(directory: BorrowedFd<'_>, name: &[u8], path: &[u8]) -> Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    fs::openat(directory, name, flags, Mode::empty()).map_err(|cause| fail("open directory", path, cause))
}

pub(crate) fn join(path: &[u8], name: &[u8]) -> Vec<u8> {
    if path.is_empty() { name.to_vec() } else { [path, b"/", name].concat() }
}

fn fail(verb: &str, path: &[u8], cause: rustix::io::Errno) -> Error {
    Error::unknown(format!("cannot {verb} {}", show(path))).with_source(io(cause))
}

fn show(path: &[u8]) -> String {
    format!("/{}", String::from_utf8_lossy(path))
}

/// A layer under writing: what goes in is preceded by its parents, each once.
pub(crate) struct Layer<W> {
    pub writer: Writer<W>,
    /// Later times are cut to this one.
    pub epoch: Option<Time>,
    written: std::collections::HashSet<Vec<u8>>,
    links: HashMap<(u64, u64), Vec<u8>>,
    inodes_changed: std::collections::HashSet<(u64, u64)>,
}

impl<W: Write> Layer<W> {
    pub(crate) fn new(writer: Writer<W>, epoch: Option<Time>) -> Layer<W> {
        Layer {
            writer,
            epoch,
            written: std::collections::HashSet::new(),
            links: HashMap::new(),
            inodes_changed: std::collections::HashSet::new(),
        }
    }

    /// Adds what is at `path` in `root`, by descriptor all the way.
    pub(crate) fn entry(&mut self, root: BorrowedFd<'_>, path: &[u8]) -> Result<()> {
        if !self.written.insert(path.to_vec()) {
            return Ok(());
        }
        let parent = self.parents(root, path)?;
        let name = path.rsplit(|b| *b == b'/').next().unwrap_or_default();
        let Some((mut entry, file, stat)) = describe_at(parent.as_fd(), name, path)? else { return Ok(()) };
        entry.modified = self.clamp(entry.modified);
        let inode = (stat.st_dev, stat.st_ino);
        if entry.kind != Kind::Directory && stat.st_nlink > 1 {
            if let Some(first) = self.links.get(&inode) {
                (entry.kind, entry.link, entry.size) = (Kind::HardLink, first.clone(), 0);
                entry.xattrs.clear();
                return self.append(&entry, &mut empty());
            }
            self.links.insert(inode, path.to_vec());
        }
        match file {
            Some(mut file) => self.append(&entry, &mut file),
            None => self.append(&entry, &mut empty()),
        }
    }

    /// Adds a file that is as before when it shares its inode with one that is not.
    fn entry_if_link_changed(&mut self, root: BorrowedFd<'_>, path: &[u8]) -> Result<()> {
        let parent = self.walk(root, path, false)?;
        let name = path.rsplit(|b| *b == b'/').next().unwrap_or_default();
        let stat = fs::statat(&parent, name, AtFlags::SYMLINK_NOFOLLOW)
            .map_err(|cause| fail("stat", path, cause))?;
        if self.inodes_changed.contains(&(stat.st_dev, stat.st_ino)) {
            return self.entry(root, path);
        }
        Ok(())
    }

    /// Adds the mark that `path` is gone.
    pub(crate) fn whiteout(&mut self, root: BorrowedFd<'_>, path: &[u8]) -> Result<()> {
        self.parents(root, path)?;
        let at = path.iter().rposition(|b| *b == b'/').map_or(0, |at| at + 1);
        let marked = [&path[..at], WHITEOUT_PREFIX, &path[at..]].concat();
        self.append(&Entry::new(marked, Kind::File, 0o444), &mut empty())
    }

    /// Adds the mark that nothing below `path` is of the layers below.
    pub(crate) fn opaque(&mut self, path: &[u8]) -> Result<()> {
        self.append(&Entry::new(join(path, archive::OPAQUE), Kind::File, 0o444), &mut empty())
    }

    fn append(&mut self, entry: &Entry, body: &mut dyn Read) -> Result<()> {
        self.writer
            .append(entry, body)
            .map_err(|cause| Error::new(cause.kind(), "cannot write layer").with_source(cause))
    }

    /// Adds the directories above `path` that are not in yet, and opens the nearest.
    fn parents(&mut self, root: BorrowedFd<'_>, path: &[u8]) -> Result<OwnedFd> {
        self.walk(root, path, true)
    }

    fn walk(&mut self, root: BorrowedFd<'_>, path: &[u8], add: bool) -> Result<OwnedFd> {
        let mut directory = open(root, b".", b"")?;
        let mut at = 0;
        while let Some(slash) = path[at..].iter().position(|b| *b == b'/').map(|slash| slash + at) {
            let (above, name) = (&path[..slash], &path[at..slash]);
            if add
                && self.written.insert(above.to_vec())
                && let Some((mut entry, ..)) = describe_at(directory.as_fd(), name, above)?
            {
                entry.modified = self.clamp(entry.modified);
                self.append(&entry, &mut empty())?;
            }
            directory = open(directory.as_fd(), name, above)?;
            at = slash + 1;
        }
        Ok(directory)
    }

    fn clamp(&self, time: Time) -> Time {
        self.epoch.map_or(time, |epoch| time.min(epoch))
    }
}
