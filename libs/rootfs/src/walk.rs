//! Walking inside a root that somebody else may be changing, openat2(2).

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStringExt;
use std::path::{Component, Path, PathBuf};

use rustix::fs::{self, AtFlags, CWD, FileType, Mode, OFlags, ResolveFlags};
use rustix::io::Errno;

/// As many links as the kernel itself follows.
const LINKS_MAX: usize = 40;

/// A directory that is the root of every walk.
#[derive(Debug)]
pub struct Root {
    fd: OwnedFd,
    /// A procfs that knows this process, where that at `/proc` does not.
    procfs: Option<OwnedFd>,
}

/// An object of the tree opened by O_PATH.
pub type Handle = OwnedFd;

impl Root {
    /// Opens `path` as a root.
    pub fn open(path: &Path) -> io::Result<Root> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        Ok(Root { fd: fs::openat(CWD, path, flags, Mode::empty())?, procfs: None })
    }

    /// Names objects by this procfs, for a process that has gone to another mount namespace.
    pub fn with_procfs(self, procfs: OwnedFd) -> Root {
        Root { procfs: Some(procfs), ..self }
    }

    /// Opens what `path` names inside the root, following links there.
    pub fn find(&self, path: &Path) -> Result<Handle, Errno> {
        self.resolve(path, OFlags::PATH, ResolveFlags::empty())
    }

    /// As [`Root::find`] without following a last link.
    pub fn find_nofollow(&self, path: &Path) -> Result<Handle, Errno> {
        self.resolve(path, OFlags::PATH | OFlags::NOFOLLOW, ResolveFlags::empty())
    }

    /// Opens a directory, refusing any link on the way (ELOOP).
    pub fn find_without_links(&self, path: &Path) -> Result<Handle, Errno> {
        self.resolve(path, OFlags::PATH | OFlags::DIRECTORY, ResolveFlags::NO_SYMLINKS)
    }

    /// Opens a file for reading.
    pub fn read(&self, path: &Path) -> Result<OwnedFd, Errno> {
        self.resolve(path, OFlags::RDONLY | OFlags::NONBLOCK, ResolveFlags::empty())
    }

    fn resolve(&self, path: &Path, flags: OFlags, more: ResolveFlags) -> Result<Handle, Errno> {
        let resolve = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS | more;
        let name = match path.strip_prefix("/").unwrap_or(path) {
            empty if empty.as_os_str().is_empty() => Path::new("."),
            name => name,
        };
        loop {
            match fs::openat2(&self.fd, name, flags | OFlags::CLOEXEC, Mode::empty(), resolve) {
                // A rename anywhere while ".." was walked: the kernel asks to try again.
                Err(Errno::AGAIN) => {}
                other => return other,
            }
        }
    }

    /// Opens a directory, making it and its parents (0755) where they are missing.
    pub fn make_directory(&self, path: &Path) -> Result<Handle, Errno> {
        self.make_directory_within(path, LINKS_MAX)
    }

    fn make_directory_within(&self, path: &Path, links: usize) -> Result<Handle, Errno> {
        let flags = OFlags::PATH | OFlags::DIRECTORY;
        match self.resolve(path, flags, ResolveFlags::empty()) {
            Err(Errno::NOENT) => {}
            other => return other,
        }
        let path = normal(path);
        let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
            return Err(Errno::NOENT);
        };
        let directory = self.make_directory_within(parent, links)?;
        match fs::mkdirat(&directory, name, Mode::from_raw_mode(0o755)) {
            Ok(()) | Err(Errno::EXIST) => {}
            Err(errno) => return Err(errno),
        }
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        match fs::openat(&directory, name, flags, Mode::empty()) {
            Err(Errno::LOOP | Errno::NOTDIR) if links > 0 => {
                // A link to what is not there yet: make what it names, inside the root.
                let target = link_target(&directory, name)?;
                self.make_directory_within(&parent.join(target), links - 1)
            }
            other => other,
        }
    }

    /// Opens a file, making an empty one and its parents where it is missing.
    pub fn make_file(&self, path: &Path) -> Result<Handle, Errno> {
        self.make_file_within(path, LINKS_MAX)
    }

    fn make_file_within(&self, path: &Path, links: usize) -> Result<Handle, Errno> {
        match self.find(path) {
            Err(Errno::NOENT) => {}
            other => return other,
        }
        let path = normal(path);
        let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
            return Err(Errno::NOENT);
        };
        let directory = self.make_directory(parent)?;
        let flags = OFlags::CREATE | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK;
        match fs::openat(&directory, name, flags, Mode::from_raw_mode(0o755)) {
            Err(Errno::LOOP) if links > 0 => {
                let target = link_target(&directory, name)?;
                return self.make_file_within(&parent.join(target), links - 1);
            }
            other => drop(other?),
        }
        fs::openat(&directory, name, OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty())
    }

    /// Opens the parent of `path` (made if missing) and says the last name.
    pub fn parent_of(&self, path: &Path) -> Result<(Handle, PathBuf), Errno> {
        let path = normal(path);
        match (path.parent(), path.file_name()) {
            (Some(parent), Some(name)) => Ok((self.make_directory(parent)?, name.into())),
            _ => Err(Errno::INVAL),
        }
    }

    /// As [`Root::make_directory`], saying also where the directory lies below the root.
    ///
    /// A way without links leads where its words say; of any other the kernel is asked.
    pub fn make_directory_known(&self, path: &Path) -> io::Result<(Handle, PathBuf)> {
        let plain =
            |path: &Path| self.resolve(path, OFlags::PATH | OFlags::DIRECTORY, ResolveFlags::NO_SYMLINKS);
        let words = normal(path);
        match plain(&words) {
            Ok(handle) => return Ok((handle, words)),
            Err(Errno::NOENT | Errno::LOOP) => {}
            Err(errno) => return Err(errno.into()),
        }
        if let (Some(parent), Some(name)) = (words.parent(), words.file_name())
            && let Ok(parent) = plain(parent)
            && fs::mkdirat(&parent, name, Mode::from_raw_mode(0o755)).is_ok()
        {
            let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            return Ok((fs::openat(&parent, name, flags, Mode::empty())?, words));
        }
        let handle = self.make_directory(path)?;
        let path = self.path_of(&handle)?;
        Ok((handle, path))
    }

    /// Where an opened object lies below the root now.
    pub fn path_of(&self, handle: impl AsFd) -> io::Result<PathBuf> {
        let link = |fd: BorrowedFd<'_>| {
            let link = format!("self/fd/{}", fd.as_raw_fd());
            match &self.procfs {
                None => std::fs::read_link(Path::new("/proc").join(link)),
                Some(procfs) => {
                    let text = fs::readlinkat(procfs, link, Vec::new())?.into_bytes();
                    Ok(PathBuf::from(OsString::from_vec(text)))
                }
            }
        };
        let path = link(handle.as_fd())?;
        let root = link(self.fd.as_fd())?;
        match path.strip_prefix(&root) {
            Ok(below) => Ok(Path::new("/").join(below)),
            Err(_) => Err(io::Error::from_raw_os_error(libc::EXDEV)),
        }
    }
}

impl AsFd for Root {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl From<OwnedFd> for Root {
    fn from(fd: OwnedFd) -> Root {
        Root { fd, procfs: None }
    }
}

/// What a link says, which may be no place yet.
fn link_target(directory: &Handle, name: &OsStr) -> Result<PathBuf, Errno> {
    let target = fs::readlinkat(directory, name, Vec::new()).map_err(|_| Errno::NOTDIR)?;
    Ok(OsString::from_vec(target.into_bytes()).into())
}

/// An absolute path without `.` and `..`, resolved as text: only for what is about to be made.
pub(crate) fn normal(path: &Path) -> PathBuf {
    let mut normal = PathBuf::from("/");
    for component in path.components() {
        match component {
            Component::Normal(name) => normal.push(name),
            Component::ParentDir => {
                normal.pop();
            }
            Component::CurDir | Component::RootDir | Component::Prefix(_) => {}
        }
    }
    normal
}

/// The type of an opened object.
pub(crate) fn type_of(handle: impl AsFd) -> Result<FileType, Errno> {
    Ok(FileType::from_raw_mode(fs::statat(handle, c"", AtFlags::EMPTY_PATH)?.st_mode))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    fn root() -> (tempfile::TempDir, Root) {
        let directory = tempfile::tempdir().unwrap();
        let root = Root::open(directory.path()).unwrap();
        (directory, root)
    }

    #[test]
    fn directories_are_made_through_dangling_links() {
        let (directory, root) = root();
        symlink("/run", directory.path().join("var")).unwrap();
        root.make_directory(Path::new("/var/lock/x")).unwrap();
        assert!(directory.path().join("run/lock/x").is_dir());
    }

    #[test]
    fn files_are_made_through_dangling_links() {
        let (directory, root) = root();
        symlink("/tmp/foo/bar", directory.path().join("jump")).unwrap();
        symlink("/jump/baz/hosts", directory.path().join("hosts")).unwrap();
        root.make_file(Path::new("/hosts")).unwrap();
        assert!(directory.path().join("tmp/foo/bar/baz/hosts").is_file());
        symlink("loop", directory.path().join("loop")).unwrap();
        assert!(root.make_file(Path::new("/loop")).is_err());
    }

    #[test]
    fn no_name_leads_out() {
        let (directory, root) = root();
        let outside = tempfile::tempdir().unwrap();
        symlink(outside.path(), directory.path().join("out")).unwrap();
        symlink("../../../../../../tmp", directory.path().join("up")).unwrap();
        root.make_file(Path::new("/out/canary")).unwrap();
        root.make_directory(Path::new("/up/../../x")).unwrap();
        assert_eq!(std::fs::read_dir(outside.path()).unwrap().count(), 0);
        assert!(directory.path().join("tmp").is_dir() || directory.path().join("x").is_dir());
    }

    #[test]
    fn a_loop_of_links_ends() {
        let (directory, root) = root();
        symlink("b", directory.path().join("a")).unwrap();
        symlink("a", directory.path().join("b")).unwrap();
        assert!(root.make_directory(Path::new("/a/c")).is_err());
    }

    #[test]
    fn paths_are_told() {
        let (_directory, root) = root();
        let handle = root.make_file(Path::new("a/./b/../c")).unwrap();
        assert_eq!(root.path_of(&handle).unwrap(), Path::new("/a/c"));
        assert_eq!(root.path_of(&root).unwrap(), Path::new("/"));
    }
}
