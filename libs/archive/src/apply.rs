//! Brings an archive into a root.

use std::collections::HashSet;
use std::io::BufRead;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::rc::Rc;

use rustix::fs::{self, AtFlags, FileType, Mode, OFlags, makedev};
use rustix::io::Errno;

use crate::body::write_body;
use crate::entry::{Entry, Kind, Time};
use crate::extract::Extract;
use crate::hide::is_whiteout;
use crate::metadata::{self, Defaults};
use crate::reader::Reader;
use crate::remove::{Removed, remove_all};
use crate::root::{Directory, Missing, Root, clean, open_in, split};
use crate::whiteout::{Meaning, Whiteouts, meaning};
use crate::{Error, Result};

/// How to apply.
pub struct Options {
    pub whiteouts: Whiteouts,
    pub lowers: Lowers,
}

/// The layers below, when the root is but the upper directory of an overlay: directories made on the way
/// take their looks, hard links find their targets there.
pub enum Lowers {
    /// Nearest first; none for a whole tree.
    Known(Vec<OwnedFd>),
    /// They are not here yet: an archive that needs them is refused with [`Error::NeedsLowers`].
    Awaited,
}

impl Lowers {
    /// There are none.
    pub const NONE: Lowers = Lowers::Known(Vec::new());
}

/// What was applied.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Applied {
    pub entries: u64,
    /// Bytes of all files, holes included.
    pub size: u64,
}

/// Brings the archive that `stream` gives into `root`; nothing outside `root` is touched, whatever
/// the archive holds and whoever changes the tree meanwhile. Nothing is synced.
///
/// # Errors
/// The archive is broken, or a file cannot be made. What was made so far stays.
pub fn apply<R: BufRead>(root: BorrowedFd<'_>, stream: R, options: Options) -> Result<Applied> {
    run(root, stream, options, None)
}

/// Applies an archive; with `extract`, one of plain files that is no layer.
pub(crate) fn run<R: BufRead>(
    root: BorrowedFd<'_>,
    stream: R,
    options: Options,
    extract: Option<Extract>,
) -> Result<Applied> {
    let mut reader = Reader::new(stream);
    let mut apply = Apply {
        root: Root::open(root, options.lowers)?,
        whiteouts: options.whiteouts,
        extract,
        defaults: Defaults::of_this_thread(),
        unpacked: HashSet::new(),
        times: Vec::new(),
    };
    let mut applied = Applied::default();
    while let Some(entry) = reader.next_entry()? {
        applied.entries += 1;
        applied.size += entry.size;
        apply.entry(entry, &mut reader)?;
    }
    apply.set_directory_times()?;
    Ok(applied)
}

pub(crate) struct Apply {
    pub root: Root,
    pub whiteouts: Whiteouts,
    /// The archive is no layer: names mean nothing.
    pub extract: Option<Extract>,
    pub defaults: Defaults,
    /// Real paths that this archive made: its whiteouts do not hide them.
    pub unpacked: HashSet<Vec<u8>>,
    /// Real paths of directories with the times they take when nothing is added to them any more.
    pub times: Vec<(Vec<u8>, Time)>,
}

impl Apply {
    fn entry<R: BufRead>(&mut self, mut entry: Entry, body: &mut R) -> Result<()> {
        entry.path = clean(&entry.path);
        if entry.path.is_empty() {
            // The root's own looks are the snapshotter's.
            return Ok(());
        }
        entry.xattrs.retain(|(name, _)| !metadata::is_reserved(name));
        let (parent, name) = split(&entry.path);
        let is_plain = entry.kind == Kind::Directory || self.extract.is_some();
        let meaning = if is_plain { Meaning::Plain } else { meaning(name)? };
        match meaning {
            Meaning::Skip => Ok(()),
            Meaning::Opaque => self.hide_all(parent),
            Meaning::Gone(hidden) => self.hide(parent, hidden),
            Meaning::Plain => {
                let directory = self.parent(parent)?;
                if let Some(extract) = &self.extract {
                    extract.check(&directory, name, &entry)?;
                    (entry.uid, entry.gid) = extract.owner_of(&entry)?;
                }
                self.place(&directory, name, &entry, body)?;
                self.unpacked.insert(below(&directory, name));
                Ok(())
            }
        }
    }

    /// The directory that an entry goes to, made if it has to be.
    pub(crate) fn parent(&mut self, path: &[u8]) -> Result<Rc<Directory>> {
        let directory = self.root.directory(path, Missing::Make)?;
        for (made, time) in std::mem::take(&mut self.root.made) {
            if let Some(ids) = self.extract.as_ref().and_then(|extract| extract.ids.as_ref()) {
                let (uid, gid) = ids.outside((0, 0), &made)?;
                self.root.give(&made, uid, gid)?;
            }
            self.times.extend(time.map(|time| (made.clone(), time)));
            self.unpacked.insert(made);
        }
        directory.ok_or_else(|| Error::file("make directory", path, Errno::NOENT))
    }

    fn place<R: BufRead>(
        &mut self,
        parent: &Directory,
        name: &[u8],
        entry: &Entry,
        body: &mut R,
    ) -> Result<()> {
        match entry.kind {
            Kind::Directory => self.place_directory(parent, name, entry),
            Kind::File => self.place_file(parent, name, entry, body),
            Kind::HardLink => self.place_hard_link(parent, name, entry),
            Kind::Symlink => {
                if entry.link.is_empty() {
                    return Err(Error::invalid("symlink has no target"));
                }
                self.replacing(parent, name, &entry.path, "make symlink", || {
                    fs::symlinkat(entry.link.as_slice(), &parent.fd, name)
                })?;
                self.defaults.finish_named(name, entry, parent, true)
            }
            Kind::CharDevice | Kind::BlockDevice | Kind::Fifo => self.place_node(parent, name, entry),
        }
    }

    fn place_directory(&mut self, parent: &Directory, name: &[u8], entry: &Entry) -> Result<()> {
        let fail = |verb, error| Error::file(verb, &entry.path, error);
        let mode = Mode::from_raw_mode(entry.mode & 0o777);
        let mut is_new = true;
        let mut hides = false;
        match fs::mkdirat(&parent.fd, name, mode) {
            Ok(()) => {}
            Err(Errno::EXIST) => {
                let stat =
                    fs::statat(&parent.fd, name, AtFlags::SYMLINK_NOFOLLOW).map_err(|e| fail("stat", e))?;
                if FileType::from_raw_mode(stat.st_mode) == FileType::Directory {
                    is_new = false;
                } else {
                    // Where this archive left a whiteout, the lower directory must stay hidden.
                    hides = is_whiteout(&stat);
                    self.remove(parent, name, &entry.path)?;
                    fs::mkdirat(&parent.fd, name, mode).map_err(|e| fail("make directory", e))?;
                }
            }
            Err(error) => return Err(fail("make directory", error)),
        }
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let fd = fs::openat(&parent.fd, name, flags, Mode::empty()).map_err(|e| fail("open directory", e))?;
        self.defaults.finish_open(&fd, entry, parent, is_new)?;
        if hides {
            self.make_opaque(&fd, &entry.path)?;
        }
        self.times.push((below(parent, name), entry.modified));
        Ok(())
    }

    fn place_file<R: BufRead>(
        &mut self,
        parent: &Directory,
        name: &[u8],
        entry: &Entry,
        body: &mut R,
    ) -> Result<()> {
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let mode = Mode::from_raw_mode(entry.mode & 0o777);
        let fd = self.replacing(parent, name, &entry.path, "make file", || {
            fs::openat(&parent.fd, name, flags, mode)
        })?;
        let mut file = std::fs::File::from(fd);
        write_body(&mut file, entry, body)?;
        let fd = OwnedFd::from(file);
        self.defaults.finish_open(&fd, entry, parent, true)?;
        metadata::set_times(&fd, entry.modified).map_err(|e| Error::file("set times of", &entry.path, e))
    }

    fn place_node(&mut self, parent: &Directory, name: &[u8], entry: &Entry) -> Result<()> {
        let file_type = match entry.kind {
            Kind::CharDevice => FileType::CharacterDevice,
            Kind::BlockDevice => FileType::BlockDevice,
            _ => FileType::Fifo,
        };
        let device = makedev(entry.device.0, entry.device.1);
        let mode = Mode::from_raw_mode(entry.mode & 0o777);
        self.replacing(parent, name, &entry.path, "make node", || {
            fs::mknodat(&parent.fd, name, file_type, mode, device)
        })?;
        self.defaults.finish_named(name, entry, parent, false)
    }

    /// A link shares its target's inode, so nothing of it is changed: a chmod here could reach out of
    /// the root when the target is a symlink (CVE-2021-32760).
    fn place_hard_link(&mut self, parent: &Directory, name: &[u8], entry: &Entry) -> Result<()> {
        let target = clean(&entry.link);
        if target.is_empty() {
            return Err(Error::invalid("hard link has no target"));
        }
        if target == entry.path {
            return Ok(());
        }
        let fail = |error| Error::file("link", &entry.path, error);
        let (target_parent, target_name) = split(&target);
        let source = self.root.directory(target_parent, Missing::Ignore)?;
        if let Some(source) = &source {
            let link = || fs::linkat(&source.fd, target_name, &parent.fd, name, AtFlags::empty());
            match link() {
                Ok(()) => return Ok(()),
                Err(Errno::EXIST) if self.is_same(source, target_name, parent, name) => return Ok(()),
                Err(Errno::EXIST) => {
                    self.remove(parent, name, &entry.path)?;
                    return link().map_err(fail);
                }
                Err(Errno::NOENT) => {}
                Err(error) => return Err(fail(error)),
            }
        }
        self.copy_up(&target)?;
        let source = self.parent(target_parent)?;
        self.replacing(parent, name, &entry.path, "link", || {
            fs::linkat(&source.fd, target_name, &parent.fd, name, AtFlags::empty())
        })
    }

    fn is_same(&self, a: &Directory, a_name: &[u8], b: &Directory, b_name: &[u8]) -> bool {
        let stat =
            |directory: &Directory, name| fs::statat(&directory.fd, name, AtFlags::SYMLINK_NOFOLLOW).ok();
        match (stat(a, a_name), stat(b, b_name)) {
            (Some(a), Some(b)) => (a.st_dev, a.st_ino) == (b.st_dev, b.st_ino),
            _ => false,
        }
    }

    /// Copies a file of a lower layer into the root, for a link to it.
    fn copy_up(&mut self, path: &[u8]) -> Result<()> {
        let fail = |error: std::io::Error| Error::file("find link target", path, error);
        let lower = self.root.lower(path)?.ok_or_else(|| fail(Errno::NOENT.into()))?;
        let Some((mut entry, file)) = crate::pack::describe_open(&lower, path)? else {
            return Err(fail(Errno::NOENT.into()));
        };
        entry.path = path.to_vec();
        let (parent, name) = split(path);
        let directory = self.parent(parent)?;
        match file {
            Some(file) => self.place(&directory, name, &entry, &mut std::io::BufReader::new(file)),
            None if entry.kind == Kind::Directory => Err(fail(Errno::PERM.into())),
            None => self.place(&directory, name, &entry, &mut std::io::empty()),
        }
    }

    /// Runs `make`; when the name is taken, removes what has it and runs `make` again.
    pub(crate) fn replacing<T>(
        &mut self,
        parent: &Directory,
        name: &[u8],
        path: &[u8],
        verb: &'static str,
        make: impl Fn() -> rustix::io::Result<T>,
    ) -> Result<T> {
        match make() {
            Err(Errno::EXIST) => {
                self.remove(parent, name, path)?;
                make().map_err(|e| Error::file(verb, path, e))
            }
            other => other.map_err(|e| Error::file(verb, path, e)),
        }
    }

    pub(crate) fn remove(&mut self, parent: &Directory, name: &[u8], path: &[u8]) -> Result<()> {
        let removed = remove_all(parent.fd.as_fd(), name).map_err(|e| Error::file("remove", path, e))?;
        if removed == Removed::Passage {
            self.root.forget();
        }
        Ok(())
    }

    fn set_directory_times(&mut self) -> Result<()> {
        for (path, time) in std::mem::take(&mut self.times) {
            let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW;
            match open_in(self.root.top(), &path, flags) {
                Ok(fd) => {
                    metadata::set_times(&fd, time).map_err(|e| Error::file("set times of", &path, e))?
                }
                // A later entry took it away.
                Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => {}
                Err(error) => return Err(Error::file("open directory", &path, error)),
            }
        }
        Ok(())
    }
}

/// Real path of something in a directory.
pub(crate) fn below(directory: &Directory, name: &[u8]) -> Vec<u8> {
    if directory.path.is_empty() { name.to_vec() } else { [&directory.path, &b"/"[..], name].concat() }
}
