//! The root of a container that does not run, with its mounts in it, as it sees them when it runs.

use std::fs::File;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::Path;

use containerd_api::types::Mount;
use errdefs::{Error, Result};
use rustix::fs::{AtFlags, CWD, FileType, Gid, Mode, OFlags, Uid};
use rustix::mount::{MountFlags, MountPropagationFlags, OpenTreeFlags};

use super::rootfs::{self, Access, Root, with_mounted};
use super::spec::Mounted;
use super::{Container, Record, Source, sources};
use crate::engine::Engine;
use crate::files::failed;
use crate::remap::Remap;

/// Mounts the root, on it what the record says, and lets go of all of it but the answer.
///
/// # Errors
/// The snapshot, a volume or a source is gone, or the kernel refuses a mount.
pub async fn of(engine: &Engine, container: &Container, access: Access) -> Result<Root> {
    let record = container.record();
    let made = mounted(engine, container, &record, access).await;
    // Volumes that were taken before something failed, too.
    if !record.mounts.is_empty() {
        crate::volumes::release(engine, &record, false).await;
    }
    made
}

async fn mounted(engine: &Engine, container: &Container, record: &Record, access: Access) -> Result<Root> {
    let root = rootfs::mounts(engine, container).await?;
    let at = engine.config.run("mounts").join(crate::identity::short(&crate::identity::new_id()));
    let mut held = Vec::new();
    let mut inner = Vec::new();
    for (index, mount) in record.mounts.iter().enumerate() {
        // A tmpfs is empty before and after.
        if matches!(mount.source, Source::Tmpfs { .. }) {
            continue;
        }
        let place = at.with_extension(index.to_string());
        inner.push(sources::mounted(engine, record, mount, place, &mut held).await?);
    }
    // What is mounted below something comes after it.
    inner.sort_by(|a, b| a.destination.cmp(&b.destination));
    let remap = record.remap.clone();
    let made = tokio::task::spawn_blocking(move || {
        let remap = remap.as_ref();
        let made = match inner.is_empty() {
            true => rootfs::mounted(&root, remap, &at, access),
            false => assembled(&root, remap, &at, access, &inner),
        };
        drop(held);
        made
    });
    made.await.map_err(|cause| Error::internal("cannot mount a root").with_source(cause))?
}

fn assembled(
    root: &[Mount],
    remap: Option<&Remap>,
    at: &Path,
    access: Access,
    inner: &[Mounted],
) -> Result<Root> {
    // One that never ran has no places for its mounts; a reader's view cannot be given any.
    let lacks_places = with_mounted(root, remap, at, Access::Read, |root| {
        Ok(inner.iter().any(|mount| root.open(&mount.destination, OFlags::PATH).is_err()))
    })?;
    if lacks_places {
        with_mounted(root, remap, at, Access::Write, |root| {
            inner.iter().try_for_each(|mount| place(&root, mount, remap).map(drop))
        })?;
    }
    with_mounted(root, remap, at, access, |root| {
        let step = |cause: rustix::io::Errno| failed("mount the parts of", at)(cause.into());
        // What is mounted here is nobody else's.
        rustix::mount::mount_change(at, MountPropagationFlags::PRIVATE).map_err(step)?;
        inner.iter().try_for_each(|mount| attach(&root, mount))?;
        // A copy keeps its parts together when the original goes.
        let flags =
            OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC | OpenTreeFlags::AT_RECURSIVE;
        rustix::mount::open_tree(CWD, at, flags).map(Root).map_err(step)
    })
}

fn attach(root: &Root, mount: &Mounted) -> Result<()> {
    let step = |cause: rustix::io::Errno| failed("mount", Path::new(&mount.destination))(cause.into());
    let by_descriptor = |place: &OwnedFd| format!("/proc/self/fd/{}", place.as_raw_fd());
    let target = place(root, mount, None)?;
    let target = by_descriptor(&target);
    if mount.is_non_recursive {
        rustix::mount::mount_bind(mount.source.as_str(), target).map_err(step)?;
    } else {
        rustix::mount::mount_bind_recursive(mount.source.as_str(), target).map_err(step)?;
    }
    if !mount.is_read_only {
        return Ok(());
    }
    let top =
        root.open(&mount.destination, OFlags::PATH).map_err(failed("open", Path::new(&mount.source)))?;
    let flags = MountFlags::BIND | MountFlags::RDONLY;
    rustix::mount::mount_remount(by_descriptor(&top), flags, "").map_err(step)
}

/// Where a mount goes, made if it is not there.
fn place(root: &Root, mount: &Mounted, remap: Option<&Remap>) -> Result<OwnedFd> {
    let destination = mount.destination.as_str();
    if let Ok(found) = root.open(destination, OFlags::PATH) {
        return Ok(found);
    }
    let source = Path::new(&mount.source);
    let stat = rustix::fs::stat(source).map_err(|cause| failed("look at", source)(cause.into()))?;
    let is_directory = FileType::from_raw_mode(stat.st_mode) == FileType::Directory;
    let step = |cause: std::io::Error| failed("make a place for the mount at", Path::new(destination))(cause);
    let parts: Vec<&str> = destination.split('/').filter(|part| !part.is_empty()).collect();
    let mut parent = root.open("/", OFlags::PATH | OFlags::DIRECTORY).map_err(step)?;
    for (at, part) in parts.iter().enumerate() {
        let is_last = at + 1 == parts.len();
        let path = parts[..=at].join("/");
        let made = if is_last && !is_directory {
            let flags = OFlags::CREATE | OFlags::WRONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            rustix::fs::openat(&parent, *part, flags, Mode::from_raw_mode(0o644)).map(File::from).map(drop)
        } else {
            rustix::fs::mkdirat(&parent, *part, Mode::from_raw_mode(0o755))
        };
        let is_new = made.is_ok();
        match made {
            Ok(()) | Err(rustix::io::Errno::EXIST) => {}
            Err(cause) => return Err(step(cause.into())),
        }
        parent = root.open(&path, OFlags::PATH).map_err(step)?;
        if let (true, Some((uid, gid))) = (is_new, remap.map(Remap::root)) {
            let (uid, gid) = (Uid::from_raw(uid), Gid::from_raw(gid));
            rustix::fs::chownat(&parent, "", Some(uid), Some(gid), AtFlags::EMPTY_PATH)
                .map_err(|cause| step(cause.into()))?;
        }
    }
    Ok(parent)
}
