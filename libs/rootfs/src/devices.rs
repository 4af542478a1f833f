//! Device nodes and the links of `/dev` (config-linux.md#default-devices).

use std::os::fd::AsFd;
use std::path::{Path, PathBuf};

use mount::Tree;
use runtime_spec as spec;
use rustix::fs::{self, AtFlags, FileType, Mode};
use rustix::io::Errno;

use crate::error::{At, Cause, Error};
use crate::walk::{Handle, Root, normal};

/// Path, major, minor of the devices every container has.
const DEFAULT: &[(&str, i64, i64)] = &[
    ("/dev/null", 1, 3),
    ("/dev/zero", 1, 5),
    ("/dev/full", 1, 7),
    ("/dev/random", 1, 8),
    ("/dev/urandom", 1, 9),
    ("/dev/tty", 5, 0),
];

const LINKS: &[(&str, &str)] = &[
    ("/dev/fd", "/proc/self/fd"),
    ("/dev/stdin", "/proc/self/fd/0"),
    ("/dev/stdout", "/proc/self/fd/1"),
    ("/dev/stderr", "/proc/self/fd/2"),
];

/// Makes the default devices and those of the configuration.
///
/// `bind` mounts the host's node instead of making one, for user namespaces, which may not.
pub fn make_devices(root: &Root, devices: &[spec::Device], bind: bool) -> Result<(), Error> {
    // Modes as they are given.
    let mask = rustix::process::umask(Mode::empty());
    let made = make_all(root, devices, bind);
    rustix::process::umask(mask);
    made
}

fn make_all(root: &Root, devices: &[spec::Device], bind: bool) -> Result<(), Error> {
    let mut place = Place::new(root);
    for (path, major, minor) in DEFAULT {
        if devices.iter().any(|device| device.path == *path) {
            continue;
        }
        let device = spec::Device {
            path: (*path).to_owned(),
            kind: "c".to_owned(),
            major: *major,
            minor: *minor,
            ..spec::Device::default()
        };
        make_device(&mut place, &device, bind).at(|| format!("error creating device node {path:?}"))?;
    }
    for device in devices {
        make_device(&mut place, device, bind)
            .at(|| format!("error creating device node {:?}", device.path))?;
    }
    Ok(())
}

/// Where entries are made: the parent of the last one is kept open for the next.
struct Place<'a> {
    root: &'a Root,
    last: Option<(PathBuf, Handle)>,
}

impl<'a> Place<'a> {
    fn new(root: &'a Root) -> Place<'a> {
        Place { root, last: None }
    }

    /// The directory of `path`, made if missing, and the last name.
    fn of(&mut self, path: &Path) -> Result<(&Handle, PathBuf), Errno> {
        let path = normal(path);
        let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
            return Err(Errno::INVAL);
        };
        if self.last.as_ref().is_none_or(|(last, _)| last != parent) {
            self.last = Some((parent.to_owned(), self.root.make_directory(parent)?));
        }
        let (_, directory) = self.last.as_ref().ok_or(Errno::INVAL)?;
        Ok((directory, name.into()))
    }
}

fn make_device(place: &mut Place<'_>, device: &spec::Device, bind: bool) -> Result<(), Cause> {
    let path = Path::new(&device.path);
    let root = place.root;
    if bind {
        return bind_device(root, path);
    }
    let kind = match device.kind.as_str() {
        "c" | "u" => FileType::CharacterDevice,
        "b" => FileType::BlockDevice,
        "p" => FileType::Fifo,
        other => return Err(Cause::Refused(format!("device type {other:?} does not exist"))),
    };
    let number = fs::makedev(device.major as u32, device.minor as u32);
    let mode = Mode::from_raw_mode(device.file_mode.unwrap_or(0o666) & 0o7777);
    let (parent, name) = place.of(path)?;
    match fs::mknodat(parent, &name, kind, mode, number) {
        Ok(()) => {}
        Err(Errno::EXIST) => {
            let stat = fs::statat(parent, &name, AtFlags::SYMLINK_NOFOLLOW)?;
            let same = FileType::from_raw_mode(stat.st_mode) == kind
                && (kind == FileType::Fifo || stat.st_rdev == number);
            if !same {
                return Err(Cause::Refused("something else is there".to_owned()));
            }
            // Found not to be a link.
            fs::chmodat(parent, &name, mode, AtFlags::empty())?;
        }
        Err(Errno::PERM) => return bind_device(root, path),
        Err(errno) => return Err(errno.into()),
    }
    if device.uid.is_some() || device.gid.is_some() {
        let (uid, gid) = (device.uid.map(fs::Uid::from_raw), device.gid.map(fs::Gid::from_raw));
        fs::chownat(parent, &name, uid, gid, AtFlags::SYMLINK_NOFOLLOW)?;
    }
    Ok(())
}

fn bind_device(root: &Root, path: &Path) -> Result<(), Cause> {
    let tree = Tree::copy(path, false, true)?;
    tree.attach(root.make_file(path)?.as_fd())?;
    Ok(())
}

/// Makes `/dev/fd`, the standard streams, and `/dev/ptmx`.
///
/// `host_core` adds `/dev/core` where the kernel has `/proc/kcore`.
pub fn make_links(root: &Root) -> Result<(), Error> {
    let mut place = Place::new(root);
    for (path, target) in LINKS {
        link(&mut place, path, target).at(|| format!("error creating link {path:?}"))?;
    }
    if Path::new("/proc/kcore").exists() {
        link(&mut place, "/dev/core", "/proc/kcore").at(|| "error creating link \"/dev/core\"".to_owned())?;
    }
    let ptmx = || "error creating link \"/dev/ptmx\"".to_owned();
    let (parent, name) = place.of(Path::new("/dev/ptmx")).at(ptmx)?;
    match fs::unlinkat(parent, &name, AtFlags::empty()) {
        Ok(()) | Err(Errno::NOENT) => {}
        other => other.at(ptmx)?,
    }
    fs::symlinkat("pts/ptmx", parent, &name).at(ptmx)
}

fn link(place: &mut Place<'_>, path: &str, target: &str) -> Result<(), Cause> {
    let (parent, name) = place.of(Path::new(path))?;
    match fs::symlinkat(target, parent, &name) {
        Ok(()) | Err(Errno::EXIST) => Ok(()),
        Err(errno) => Err(errno.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::{FileTypeExt, symlink};

    #[test]
    fn devices_are_made_inside_even_when_dev_is_a_link() {
        let directory = tempfile::tempdir().unwrap();
        let outside = tempfile::tempdir().unwrap();
        symlink(outside.path(), directory.path().join("dev")).unwrap();
        let root = Root::open(directory.path()).unwrap();
        make_devices(&root, &[], false).unwrap();
        assert_eq!(std::fs::read_dir(outside.path()).unwrap().count(), 0);
        let inside = directory.path().join(outside.path().strip_prefix("/").unwrap());
        assert!(inside.join("null").metadata().unwrap().file_type().is_char_device());
    }

    #[test]
    fn a_node_of_another_kind_is_not_taken_over() {
        let directory = tempfile::tempdir().unwrap();
        std::fs::create_dir(directory.path().join("dev")).unwrap();
        std::fs::write(directory.path().join("dev/null"), "").unwrap();
        let root = Root::open(directory.path()).unwrap();
        assert!(make_devices(&root, &[], false).is_err());
    }
}
