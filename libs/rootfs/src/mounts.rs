//! The mounts of a configuration, in order.

use std::fmt;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use mount::{Options, Tree};
use runtime_spec as spec;
use rustix::fs::{self, AtFlags, FileType};
use rustix::io::Errno;

use crate::cgroup::{Hierarchy, mount_v1};
use crate::error::{At, Cause, Error};
use crate::walk::{Handle, Root, normal, type_of};

/// Files of procfs that may be mounted over (lxcfs provides them).
const PROC_ALLOWED: &[&str] = &[
    "/proc/cpuinfo",
    "/proc/diskstats",
    "/proc/meminfo",
    "/proc/stat",
    "/proc/swaps",
    "/proc/uptime",
    "/proc/loadavg",
    "/proc/slabinfo",
    "/proc/sys/kernel/ns_last_pid",
    "/proc/sys/crypto/fips_enabled",
];

/// Filesystems whose `ro` is the mount's affair alone, their superblock is the kernel's.
const VIRTUAL: &[&str] = &["proc", "sysfs", "tmpfs", "devpts", "mqueue", "cgroup", "cgroup2", "ramfs", "bpf"];

/// A mount read from the configuration, with what the runtime opened for it beforehand.
#[derive(Debug)]
pub struct Prepared {
    pub destination: PathBuf,
    pub kind: String,
    pub source: String,
    pub options: Options,
    /// The bound tree when the container itself could not open it, or when its ids are mapped.
    pub tree: Option<Tree>,
    /// The source when it lies in the container's own tree: there it is found once the mounts
    /// before this one are made.
    pub inside: Option<PathBuf>,
    /// Whose ids the tree of an inside source gets.
    pub user_namespace: Option<OwnedFd>,
}

impl Prepared {
    /// Reads one entry; a relative `source` of a bind is the bundle's. A destination below `rootfs`
    /// is taken as one in the container, as runc always did.
    pub fn read(mount: &spec::Mount, bundle: &Path, rootfs: &Path) -> Result<Prepared, mount::ParseError> {
        let mut options = Options::parse(&mount.options)?;
        options.bind |= mount.kind == "bind";
        let source = if options.bind && !mount.source.is_empty() {
            bundle.join(&mount.source).to_string_lossy().into_owned()
        } else {
            mount.source.clone()
        };
        let top = Path::new("/");
        let within = |path: &Path| match rootfs == top {
            true => None,
            false => path.strip_prefix(rootfs).ok().map(|below| top.join(below)),
        };
        let destination = normal(Path::new(&mount.destination));
        Ok(Prepared {
            inside: within(Path::new(&source)).filter(|_| options.bind && !options.copy_symlink),
            user_namespace: None,
            destination: within(&destination).filter(|path| path != top).unwrap_or(destination),
            kind: mount.kind.clone(),
            source,
            options,
            tree: None,
        })
    }

    /// Opens the bound tree now, in the caller's mount namespace and with its rights, and maps its
    /// ids by `user_namespace`.
    pub fn open(&mut self, user_namespace: Option<BorrowedFd<'_>>) -> Result<(), Error> {
        let step = || error_text(&self.source, &self.destination);
        let options = &self.options;
        let source = Path::new(&self.source);
        let tree = Tree::copy(source, options.bind_recursive, !options.source_nofollow).at(step)?;
        if let Some(user_namespace) = user_namespace {
            map_ids(&tree, user_namespace, options).at(step)?;
        }
        self.tree = Some(tree);
        Ok(())
    }

    /// Maps the ids of a tree that another process copied for this mount.
    pub fn map_ids(&self, tree: OwnedFd) -> Result<(), Error> {
        let step = || error_text(&self.source, &self.destination);
        let Some(namespace) = &self.user_namespace else {
            return Err(Cause::Refused("its ids are not to be mapped".to_owned())).at(step);
        };
        map_ids(&Tree::from(tree), namespace.as_fd(), &self.options).at(step)
    }
}

/// Mounts into one root.
#[derive(Debug)]
pub struct Mounter<'a> {
    pub root: &'a Root,
    /// SELinux label of new filesystems, empty for none.
    pub label: &'a str,
    /// The mount option that takes it, such as `context` (mount(8)).
    pub label_option: &'a str,
    /// The host's v1 hierarchies; empty where there is only the unified one.
    pub hierarchies: &'a [Hierarchy],
    /// Has [`Prepared::map_ids`] called by who may, for a process whose user namespace does not own
    /// the filesystems; none for one that may itself.
    pub mapper: Option<&'a dyn Mapper>,
}

/// The way to a process that may map ids.
pub trait Mapper: fmt::Debug {
    /// Passes a tree that is attached nowhere to it, and returns when its ids are mapped.
    fn map_ids(&self, tree: BorrowedFd<'_>) -> io::Result<()>;
}

fn error_text(source: &str, destination: &Path) -> String {
    format!("error mounting {source:?} to rootfs at {destination:?}")
}

impl Mounter<'_> {
    /// Makes one mount. `/dev` stays writable; see [`Mounter::finish`].
    pub fn mount(&self, mount: &Prepared) -> Result<(), Error> {
        let step = || error_text(&mount.source, &mount.destination);
        if mount.options.bind {
            return self.bind(mount).at(step);
        }
        if mount.kind == "cgroup" && !self.hierarchies.is_empty() {
            let (at, options) = (&mount.destination, &mount.options);
            return mount_v1(self.root, at, options, self.hierarchies);
        }
        self.filesystem(mount).at(step)
    }

    /// Applies what had to wait: `/dev` read-only after its devices were made.
    pub fn finish(&self, mount: &Prepared) -> Result<(), Error> {
        if mount.options.bind || !waits(mount) {
            return Ok(());
        }
        let step = || error_text(&mount.source, &mount.destination);
        let tree = Tree::from(self.root.find(&mount.destination).at(step)?);
        tree.change(mount.options.change, false).at(step)
    }

    fn bind(&self, mount: &Prepared) -> Result<(), Cause> {
        let options = &mount.options;
        let copied;
        let tree = match (&mount.tree, &mount.inside) {
            (Some(tree), _) => tree,
            (None, Some(inside)) => {
                copied = self.copy_inside(mount, inside)?;
                &copied
            }
            (None, None) => {
                let source = Path::new(&mount.source);
                if options.copy_symlink && source.is_symlink() {
                    return self.copy_symlink(source, &mount.destination);
                }
                let follow = !options.source_nofollow;
                copied = Tree::copy(source, options.bind_recursive, follow)?;
                &copied
            }
        };
        let (target, path) = if options.destination_nofollow {
            self.placed(self.root.find_nofollow(&mount.destination)?)?
        } else if type_of(tree)? == FileType::Directory {
            self.root.make_directory_known(&mount.destination)?
        } else {
            self.placed(self.root.make_file(&mount.destination)?)?
        };
        self.check_target(&path, mount, Some(tree))?;
        alter(tree, options)?;
        tree.attach(&target)?;
        propagate(tree, options)
    }

    /// A part of the container's own tree as it is now.
    fn copy_inside(&self, mount: &Prepared, path: &Path) -> Result<Tree, Cause> {
        let source = match mount.options.source_nofollow {
            true => self.root.find_nofollow(path)?,
            false => self.root.find(path)?,
        };
        let tree = Tree::copy_of(&source, mount.options.bind_recursive)?;
        match (&mount.user_namespace, self.mapper) {
            (None, _) => {}
            (Some(_), Some(mapper)) => mapper.map_ids(tree.as_fd())?,
            (Some(namespace), None) => map_ids(&tree, namespace.as_fd(), &mount.options)?,
        }
        Ok(tree)
    }

    fn filesystem(&self, mount: &Prepared) -> Result<(), Cause> {
        let kind = if mount.kind == "cgroup" { "cgroup2" } else { mount.kind.as_str() };
        let lacks_mode = kind == "tmpfs" && !mount.options.data.iter().any(|(key, _)| key == "mode");
        // A tmpfs is as open as the directory that it covers, if there was one.
        let inherits_mode = lacks_mode && self.root.find(&mount.destination).is_ok();
        let (target, path) = if kind == "proc" || kind == "sysfs" {
            (self.ordinary_directory(&mount.destination, kind)?, mount.destination.clone())
        } else if mount.options.destination_nofollow {
            self.placed(self.root.find_nofollow(&mount.destination)?)?
        } else {
            self.root.make_directory_known(&mount.destination)?
        };
        self.check_target(&path, mount, None)?;
        let mut options = mount.options.clone();
        if VIRTUAL.contains(&kind) {
            options.data.retain(|(key, _)| key != "ro");
        }
        if !self.label.is_empty() && !matches!(kind, "proc" | "sysfs") {
            options.data.push((self.label_option.to_owned(), Some(self.label.to_owned())));
        }
        if inherits_mode {
            let mode = fs::statat(&target, c"", AtFlags::EMPTY_PATH)?.st_mode & 0o7777;
            options.data.push(("mode".to_owned(), Some(format!("{mode:o}"))));
        }
        let waiting = waits(mount) || options.copy_up;
        if waiting {
            options.change.set &= !1;
        }
        let tree = match Tree::filesystem(kind, &mount.source, &options) {
            // In a cgroup namespace with nothing to show or without the right: the host's view.
            Err(error) if kind == "cgroup2" && error.cause.raw_os_error() == Some(libc::EPERM) => {
                Tree::copy(Path::new("/sys/fs/cgroup"), true, true)?
            }
            other => other?,
        };
        if options.copy_up {
            copy_up(target.as_fd(), tree.as_fd())?;
            if !waits(mount) {
                tree.change(mount.options.change, false)?;
            }
        }
        tree.change(options.recursive_change, true)?;
        tree.attach(&target)?;
        propagate(&tree, &options)
    }

    /// procfs and sysfs go on a real directory: a link would let an image choose the place.
    fn ordinary_directory(&self, path: &Path, kind: &str) -> Result<Handle, Cause> {
        let refused = || Cause::Refused(format!("filesystem {kind:?} must be mounted on ordinary directory"));
        match self.root.find_without_links(path) {
            Ok(handle) => Ok(handle),
            Err(Errno::LOOP | Errno::NOTDIR) => Err(refused()),
            Err(Errno::NOENT) => {
                let made = self.root.make_directory(path)?;
                match self.root.find_without_links(path) {
                    Ok(_) => Ok(made),
                    Err(_) => Err(refused()),
                }
            }
            Err(errno) => Err(errno.into()),
        }
    }

    /// An opened object and where it lies.
    fn placed(&self, target: Handle) -> Result<(Handle, PathBuf), Cause> {
        let path = self.root.path_of(&target)?;
        Ok((target, path))
    }

    /// Nothing but procfs goes on `/proc`, and below it only what reads as a plain file of
    /// statistics (CVE-2019-16884, CVE-2019-19921).
    fn check_target(&self, path: &Path, mount: &Prepared, bound: Option<&Tree>) -> Result<(), Cause> {
        if path == Path::new("/") {
            return Err(Cause::Refused("cannot mount over the root of the container".to_owned()));
        }
        if !path.starts_with("/proc") {
            return Ok(());
        }
        if path == Path::new("/proc") {
            let is_proc = match bound {
                Some(tree) => is_procfs(tree.as_fd())?,
                None => mount.kind == "proc",
            };
            if is_proc {
                return Ok(());
            }
        } else if PROC_ALLOWED.iter().any(|allowed| Path::new(allowed) == path) {
            return Ok(());
        }
        Err(Cause::Refused(format!("{path:?} cannot be mounted because it is inside /proc")))
    }

    fn copy_symlink(&self, source: &Path, destination: &Path) -> Result<(), Cause> {
        let link = std::fs::read_link(source)?;
        let (parent, name) = self.root.parent_of(destination)?;
        match fs::symlinkat(&link, &parent, &name) {
            Ok(()) => Ok(()),
            Err(Errno::EXIST)
                if fs::readlinkat(&parent, &name, Vec::new())
                    .is_ok_and(|there| there.to_bytes() == link.as_os_str().as_encoded_bytes()) =>
            {
                Ok(())
            }
            Err(errno) => Err(errno.into()),
        }
    }
}

/// Whether read-only has to wait until devices are made.
fn waits(mount: &Prepared) -> bool {
    mount.destination == Path::new("/dev") && mount.options.is_readonly()
}

fn map_ids(tree: &Tree, namespace: BorrowedFd<'_>, options: &Options) -> Result<(), mount::Error> {
    tree.map_ids(namespace, options.idmap == Some(true))
}

fn alter(tree: &Tree, options: &Options) -> Result<(), Cause> {
    tree.change(options.change, false)?;
    tree.change(options.recursive_change, true)?;
    Ok(())
}

fn propagate(tree: &Tree, options: &Options) -> Result<(), Cause> {
    for propagation in &options.propagation {
        let change = syscalls::mount_attr::Change { propagation: propagation.kind, ..Default::default() };
        tree.change(change, propagation.recursive)?;
    }
    Ok(())
}

fn is_procfs(fd: BorrowedFd<'_>) -> Result<bool, Errno> {
    Ok(fs::fstatfs(fd)?.f_type == libc::PROC_SUPER_MAGIC as _)
}

/// Copies what a directory holds into the tmpfs that is about to cover it.
fn copy_up(from: BorrowedFd<'_>, to: BorrowedFd<'_>) -> Result<(), Cause> {
    let flags = fs::OFlags::RDONLY | fs::OFlags::DIRECTORY | fs::OFlags::CLOEXEC | fs::OFlags::NOFOLLOW;
    let open = |at: BorrowedFd<'_>, name: &std::ffi::CStr| fs::openat(at, name, flags, fs::Mode::empty());
    let mut directory = fs::Dir::read_from(open(from, c".")?)?;
    while let Some(entry) = directory.read() {
        let entry = entry?;
        let name = entry.file_name();
        if matches!(name.to_bytes(), b"." | b"..") {
            continue;
        }
        let stat = fs::statat(from, name, AtFlags::SYMLINK_NOFOLLOW)?;
        let mode = fs::Mode::from_raw_mode(stat.st_mode & 0o7777);
        match FileType::from_raw_mode(stat.st_mode) {
            FileType::Directory => {
                fs::mkdirat(to, name, mode)?;
                copy_up(open(from, name)?.as_fd(), open(to, name)?.as_fd())?;
            }
            FileType::RegularFile => copy_file(from, to, name, mode)?,
            FileType::Symlink => fs::symlinkat(fs::readlinkat(from, name, Vec::new())?, to, name)?,
            kind => fs::mknodat(to, name, kind, mode, stat.st_rdev)?,
        }
        let (uid, gid) = (fs::Uid::from_raw(stat.st_uid), fs::Gid::from_raw(stat.st_gid));
        fs::chownat(to, name, Some(uid), Some(gid), AtFlags::SYMLINK_NOFOLLOW)?;
        if FileType::from_raw_mode(stat.st_mode) != FileType::Symlink {
            fs::chmodat(to, name, mode, AtFlags::empty())?;
        }
    }
    Ok(())
}

fn copy_file(
    from: BorrowedFd<'_>,
    to: BorrowedFd<'_>,
    name: &std::ffi::CStr,
    mode: fs::Mode,
) -> Result<(), Cause> {
    use fs::OFlags;
    let read = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let write = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let source: OwnedFd = fs::openat(from, name, read, fs::Mode::empty())?;
    let target: OwnedFd = fs::openat(to, name, write, mode)?;
    std::io::copy(&mut std::fs::File::from(source), &mut std::fs::File::from(target))?;
    Ok(())
}
