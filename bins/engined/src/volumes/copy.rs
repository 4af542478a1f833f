//! A new volume starts with what the image has at its place.

use std::io::Write;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
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
    let wanted: Vec<(String, String)> = record
        .mounts
        .iter()
        .filter_map(|mount| match &mount.source {
            Source::Volume { name, .. } if !mount.is_bare && mount.subpath.is_empty() => {
                Some((mount.destination.clone(), name.clone()))
            }
            _ => None,
        })
        .collect();
    if wanted.is_empty() {
        return Ok(());
    }
    let filled = fill_all(engine, record, wanted).await;
    super::release(engine, record, false).await;
    filled
}

async fn fill_all(engine: &Arc<Engine>, record: &Record, wanted: Vec<(String, String)>) -> Result<()> {
    let wanted = mounted_and_empty(engine, &record.id, wanted).await?;
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
    let remap = record.remap.clone();
    let copied = tokio::task::spawn_blocking(move || {
        let root = mounted(&mounts, remap.as_ref(), &at, Access::Read)?;
        wanted.iter().try_for_each(|(destination, volume)| fill(&root, destination, volume))
    });
    copied.await.map_err(|cause| Error::internal("cannot fill a volume").with_source(cause))?
}

/// The paths of the volumes that have nothing in them yet, by the places where they go.
async fn mounted_and_empty(
    engine: &Engine,
    container: &str,
    wanted: Vec<(String, String)>,
) -> Result<Vec<(String, PathBuf)>> {
    let mut empty = Vec::new();
    for (destination, name) in wanted {
        let path = PathBuf::from(super::take(engine, container, &name).await?);
        if std::fs::read_dir(&path).is_ok_and(|mut entries| entries.next().is_none()) {
            empty.push((destination, path));
        }
    }
    Ok(empty)
}

/// Copies one directory as an archive from descriptor to descriptor: links, owners, modes and
/// attributes are kept, and no link of the image leads elsewhere.
fn fill(root: &Root, destination: &str, volume: &Path) -> Result<()> {
    let Ok(source) = root.open(destination, OFlags::RDONLY | OFlags::DIRECTORY) else { return Ok(()) };
    let target = std::fs::File::open(volume).map_err(failed("open", volume))?;
    let broken = |text: &str| Error::internal(format!("cannot fill volume {}: {text}", volume.display()));
    let (reader, writer) = std::io::pipe().map_err(|cause| broken(&cause.to_string()))?;
    let (packed, applied) = std::thread::scope(|scope| {
        let packing = scope.spawn(|| -> archive::Result<()> {
            let mut writer = archive::Writer::new(std::io::BufWriter::with_capacity(128 << 10, writer));
            archive::pack(source.as_fd(), &mut writer)?;
            writer.finish()?.flush().map_err(archive::Error::Write)
        });
        let stream = std::io::BufReader::with_capacity(128 << 10, reader);
        let applied = archive::extract(target.as_fd(), stream, archive::Extract::default());
        (packing.join(), applied)
    });
    applied.map_err(|cause| broken(&cause.to_string()))?;
    match packed {
        Ok(packed) => packed.map_err(|cause| broken(&cause.to_string()))?,
        Err(_) => return Err(broken("the packing thread ended")),
    }
    // The volume's root looks like the image's directory.
    let stat = rustix::fs::fstat(&source).map_err(|cause| broken(&cause.to_string()))?;
    let (uid, gid) = (rustix::fs::Uid::from_raw(stat.st_uid), rustix::fs::Gid::from_raw(stat.st_gid));
    rustix::fs::fchown(&target, Some(uid), Some(gid))
        .and_then(|()| rustix::fs::fchmod(&target, rustix::fs::Mode::from_raw_mode(stat.st_mode & 0o7777)))
        .map_err(|cause| broken(&cause.to_string()))
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
