//! Entering the container's root.

use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

use mount::Tree;
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::mount::{MountPropagationFlags, UnmountFlags, mount_change, unmount};
use rustix::process::{chdir, chroot, fchdir};
use syscalls::mount_attr::{Change, pivot_to_current_directory};

use crate::error::{At, Error};
use crate::walk::Root;

/// `linux.rootfsPropagation` as `MS_*` bits with MS_REC.
pub fn propagation_of(word: &str) -> Option<MountPropagationFlags> {
    use MountPropagationFlags as Flags;
    Some(match word {
        "shared" => Flags::SHARED,
        "rshared" => Flags::SHARED | Flags::REC,
        "slave" => Flags::DOWNSTREAM,
        "rslave" => Flags::DOWNSTREAM | Flags::REC,
        "private" => Flags::PRIVATE,
        "rprivate" => Flags::PRIVATE | Flags::REC,
        "unbindable" => Flags::UNBINDABLE,
        "runbindable" => Flags::UNBINDABLE | Flags::REC,
        _ => return None,
    })
}

/// How the host's mounts in a new mount namespace stand to the host.
fn apart_from_host(propagation: Option<MountPropagationFlags>) -> MountPropagationFlags {
    // What cannot be bound cannot be copied either: the root becomes so at the end.
    propagation
        .filter(|kind| !kind.intersects(MountPropagationFlags::UNBINDABLE))
        .unwrap_or(MountPropagationFlags::DOWNSTREAM | MountPropagationFlags::REC)
}

fn slave() -> Change {
    Change { propagation: MountPropagationFlags::DOWNSTREAM.bits().into(), ..Change::default() }
}

/// Makes the root a mount of its own in this mount namespace, attached where it was found, cut
/// off from the host as `propagation` says, and opens it.
///
/// `found` is the root's directory opened in this mount namespace, `tree` its tree when the
/// caller opened it beforehand.
pub fn enter_tree(
    rootfs: &Path,
    found: &Root,
    tree: Option<Tree>,
    propagation: Option<MountPropagationFlags>,
) -> Result<Root, Error> {
    let step = || format!("error preparing rootfs {rootfs:?}");
    let host = apart_from_host(propagation);
    mount_change("/", host).at(step)?;
    if host.intersects(MountPropagationFlags::SHARED) {
        // A shared parent would pass our root on to the host, and pivot_root refuses it, and a
        // shared root too.
        cut_off_parent(rootfs).at(step)?;
    }
    let tree = match tree {
        Some(tree) => {
            // Copied from the host's mounts, which may be shared.
            tree.change(slave(), true).at(step)?;
            tree
        }
        None => Tree::copy_of(found, true).at(step)?,
    };
    tree.attach(found).at(step)?;
    Ok(Root::from(tree.into_fd()))
}

/// As [`enter_tree`] where the container shares the mount namespace: nothing but the root's own
/// mount is changed, which stays until [`leave_shared`].
pub fn enter_shared(rootfs: &Path, found: &Root) -> Result<Root, Error> {
    let step = || format!("error preparing rootfs {rootfs:?}");
    let tree = Tree::copy_of(found, true).at(step)?;
    let private = Change { propagation: MountPropagationFlags::PRIVATE.bits().into(), ..Change::default() };
    tree.change(private, true).at(step)?;
    tree.attach(found).at(step)?;
    Ok(Root::from(tree.into_fd()))
}

/// Changes the root of this process alone, in a mount namespace that others share.
pub fn chroot_shared(root: &Root) -> Result<(), Error> {
    let step = || "error changing the root".to_owned();
    fchdir(root).at(step)?;
    chroot(".").at(step)?;
    chdir("/").at(step)
}

/// Takes away what [`enter_shared`] mounted at `rootfs`, if `id` still is what is mounted there.
pub fn leave_shared(rootfs: &Path, id: u64) {
    if mount_id(rootfs) == Some(id) {
        let _ = unmount(rootfs, UnmountFlags::DETACH | UnmountFlags::NOFOLLOW);
    }
}

/// The kernel's number of the mount that a path lies on, statx(2).
pub fn mount_id(path: &Path) -> Option<u64> {
    use rustix::fs::{AtFlags, CWD, StatxFlags, statx};
    let stat = statx(CWD, path, AtFlags::SYMLINK_NOFOLLOW, StatxFlags::MNT_ID).ok()?;
    (stat.stx_mask & StatxFlags::MNT_ID.bits() != 0).then_some(stat.stx_mnt_id)
}

/// Makes the mount that `path` lies on private.
fn cut_off_parent(path: &Path) -> Result<(), rustix::io::Errno> {
    for ancestor in path.ancestors() {
        match mount_change(ancestor, MountPropagationFlags::PRIVATE) {
            // Not a mount point.
            Err(rustix::io::Errno::INVAL) => {}
            first => return first,
        }
    }
    Ok(())
}

/// Changes the root by pivot_root(2) and forgets the old one; then the root is as `propagation`
/// says, which is what [`enter_tree`] was told.
pub fn change_root(root: &Root, propagation: Option<MountPropagationFlags>) -> Result<(), Error> {
    let step = || "error changing the root".to_owned();
    let host = apart_from_host(propagation);
    let is_apart =
        host.contains(MountPropagationFlags::REC) && !host.intersects(MountPropagationFlags::SHARED);
    // Opened while it has a name: once it lies on the new root, "/" and "." are the new one.
    let old = if is_apart { None } else { Some(Tree::from(open_root().at(step)?)) };
    fchdir(root).at(step)?;
    pivot_to_current_directory().at(|| "pivot_root .".to_owned())?;
    if let Some(old) = old {
        // Some of it may be shared with the host: as slaves their unmounting stays here.
        old.change(slave(), true).at(step)?;
    }
    // The one on top, which is the old root.
    unmount(".", UnmountFlags::DETACH).at(step)?;
    chdir("/").at(step)?;
    match propagation {
        Some(propagation) => mount_change("/", propagation).at(step),
        None => Ok(()),
    }
}

fn open_root() -> Result<OwnedFd, Errno> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    rustix::fs::open("/", flags, Mode::empty())
}

/// Changes the root without pivot_root, for a root that cannot be left (an initramfs): the new
/// root is moved over the old one.
pub fn chroot_into(root: &Root) -> Result<(), Error> {
    let step = || "error changing the root without pivot_root".to_owned();
    let own = std::fs::read_link(format!("/proc/self/fd/{}", root.as_fd().as_raw_fd())).at(step)?;
    let table = std::fs::read_to_string("/proc/self/mountinfo").at(step)?;
    fchdir(root).at(step)?;
    // The old root stays below. A procfs or sysfs in it that nothing covers would let a user
    // namespace of the container's own mount another such.
    let outer = table.lines().filter_map(kernel_view).filter(|path| !path.starts_with(&own));
    for path in outer.collect::<Vec<_>>().iter().rev() {
        uncover(path).at(|| format!("error unmounting {path:?}"))?;
    }
    rustix::mount::mount_move(".", "/").at(step)?;
    chroot(".").at(step)?;
    chdir("/").at(step)
}

/// The place of a procfs or sysfs in a line of proc_pid_mountinfo(5).
fn kernel_view(line: &str) -> Option<PathBuf> {
    let (left, right) = line.split_once(" - ")?;
    matches!(right.split(' ').next()?, "proc" | "sysfs").then_some(())?;
    // Blanks and the like are written as octal numbers.
    let mut rest = left.split(' ').nth(4)?.as_bytes();
    let mut path = Vec::with_capacity(rest.len());
    while let Some((first, after)) = rest.split_first() {
        let digits =
            after.get(..3).filter(|_| *first == b'\\').and_then(|digits| std::str::from_utf8(digits).ok());
        match digits.and_then(|digits| u8::from_str_radix(digits, 8).ok()) {
            Some(byte) => (path.push(byte), rest = &after[3..]),
            None => (path.push(*first), rest = after),
        };
    }
    Some(std::ffi::OsString::from_vec(path).into())
}

/// Unmounts, and where another user namespace has locked a mount in its place, covers it.
fn uncover(path: &Path) -> Result<(), Errno> {
    match mount_change(path, MountPropagationFlags::DOWNSTREAM | MountPropagationFlags::REC) {
        // It lay below one that has gone already.
        Err(Errno::NOENT | Errno::INVAL) => return Ok(()),
        other => other?,
    }
    match unmount(path, UnmountFlags::DETACH) {
        Err(Errno::INVAL | Errno::PERM) => {
            rustix::mount::mount("tmpfs", path, "tmpfs", rustix::mount::MountFlags::empty(), None)
        }
        other => other,
    }
}

impl Root {
    /// Changes the attributes of the mount that is the root.
    pub fn alter(&self, change: Change) -> Result<(), Error> {
        syscalls::mount_attr::mount_setattr(self.as_fd(), change, false, None)
            .at(|| "error changing the root's attributes".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn views_of_the_kernel_are_found_in_the_table() {
        let proc = "22 27 0:21 / /a\\040b\\134c rw,relatime shared:5 - proc proc rw";
        assert_eq!(kernel_view(proc).unwrap(), Path::new("/a b\\c"));
        assert_eq!(kernel_view("23 27 0:22 / /sys rw - sysfs sysfs rw").unwrap(), Path::new("/sys"));
        assert_eq!(kernel_view("24 27 0:22 / /dev rw - tmpfs proc rw"), None);
        assert_eq!(kernel_view(""), None);
    }
}
