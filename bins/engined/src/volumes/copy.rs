//! A new volume starts with what the image has at its place.

use std::path::Path;
use std::sync::Arc;

use containerd_api::services::snapshots::v1::MountsRequest;
use errdefs::{Error, Result};
use rustix::fs::OFlags;

use crate::containers::rootfs::{Access, Root, mounted};
use crate::containers::{Record, Source};
use crate::engine::Engine;
use crate::files::failed;
use crate::images::Image;
use crate::supervisor;

/// Fills the empty volumes of a new container from its image, with owners and modes.
///
/// # Errors
/// The image's files cannot be read or copied.
pub async fn copy_up(engine: &Arc<Engine>, record: &Record, _image: &Image) -> Result<()> {
    let wanted: Vec<(String, std::path::PathBuf)> = record
        .mounts
        .iter()
        .filter_map(|mount| match &mount.source {
            Source::Volume { name, .. } if mount.mode != "nocopy" && mount.subpath.is_empty() => {
                Some((mount.destination.clone(), engine.volumes.path(name)))
            }
            _ => None,
        })
        .filter(|(_, path)| std::fs::read_dir(path).is_ok_and(|mut entries| entries.next().is_none()))
        .collect();
    if wanted.is_empty() {
        return Ok(());
    }
    let request =
        MountsRequest { snapshotter: engine.supervisor.snapshotter.clone(), key: record.id.clone() };
    let mounts = engine
        .supervisor
        .snapshots()
        .mounts(request)
        .await
        .map_err(supervisor::failed("find the image's files"))?;
    let mounts = mounts.into_inner().mounts;
    let at = engine.config.run("mounts").join(crate::identity::short(&record.id));
    let copied = tokio::task::spawn_blocking(move || {
        let root = mounted(&mounts, &at, Access::Read)?;
        wanted.iter().try_for_each(|(destination, volume)| fill(&root, destination, volume))
    });
    copied.await.map_err(|cause| Error::internal("cannot fill a volume").with_source(cause))?
}

/// Copies one directory by the host's own `cp`, which keeps links, holes, owners and attributes.
/// Its source is an open descriptor: no link of the image can lead elsewhere.
fn fill(root: &Root, destination: &str, volume: &Path) -> Result<()> {
    let Ok(source) = root.open(destination, OFlags::RDONLY | OFlags::DIRECTORY) else { return Ok(()) };
    use std::os::fd::AsRawFd;
    let from = format!("/proc/{}/fd/{}/.", std::process::id(), source.as_raw_fd());
    let output = std::process::Command::new("cp")
        .args(["--archive", "--no-target-directory", &from])
        .arg(volume)
        .output()
        .map_err(failed("fill volume", volume))?;
    if output.status.success() {
        return Ok(());
    }
    let text = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    Err(Error::internal(format!("cannot fill volume {}: {text}", volume.display())))
}

/// Bytes of all files below a directory.
pub fn size(directory: &Path) -> u64 {
    use std::os::unix::fs::MetadataExt;
    let mut bytes = 0;
    for entry in std::fs::read_dir(directory).into_iter().flatten().flatten() {
        let Ok(found) = entry.metadata() else { continue };
        bytes += found.blocks() * 512;
        if found.is_dir() {
            bytes += size(&entry.path());
        }
    }
    bytes
}
