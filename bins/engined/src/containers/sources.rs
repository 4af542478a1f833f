//! Where the mounts of a container come from on the host, looked up and made ready at its start.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use containerd_api::services::snapshots::v1::{
    ListSnapshotsRequest, MountsRequest, RemoveSnapshotRequest, ViewSnapshotRequest,
};
use errdefs::{Error, Result};

use super::held::Held;
use super::rootfs::{Access, with_mounted};
use super::spec::Mounted;
use super::{MountRecord, Record, Source};
use crate::engine::Engine;
use crate::files::failed;
use crate::remap::Remap;
use crate::supervisor;
use crate::time::Time;

/// One mount of a record with its path on the host; what must stand at `place` until the runtime has made its own
/// is `held`.
///
/// # Errors
/// The source is not there, or cannot be mounted.
pub async fn mounted(
    engine: &Engine,
    record: &Record,
    mount: &MountRecord,
    place: PathBuf,
    held: &mut Vec<Held>,
) -> Result<Mounted> {
    let mut mounted = Mounted {
        destination: mount.destination.clone(),
        is_read_only: mount.is_read_only,
        is_read_only_deep: mount.is_read_only_deep || !mount.is_read_only_shallow,
        propagation: mount.propagation.clone(),
        is_non_recursive: mount.is_non_recursive,
        ..Mounted::default()
    };
    match &mount.source {
        Source::Bind { path } => {
            bind_source(path, mount.makes_source, record.remap.as_ref().map(Remap::root))?;
            check_travel(path, &mount.propagation)?;
            mounted.source.clone_from(path);
        }
        Source::Volume { name, .. } => {
            mounted.source = crate::volumes::take(engine, &record.id, name).await?;
            if !mount.subpath.is_empty() {
                let root = Path::new(&mounted.source);
                let root = File::open(root).map_err(failed("open", root))?;
                let part = Held::part(&root, &mount.subpath, place)?;
                mounted.source = part.path().to_string_lossy().into_owned();
                held.push(part);
            }
        }
        Source::Image { key, .. } => {
            let part = image_part(engine, key, &mount.subpath, place).await?;
            mounted.source = part.path().to_string_lossy().into_owned();
            held.push(part);
        }
        Source::Tmpfs { options } => mounted.tmpfs = Some(options.clone()),
    }
    Ok(mounted)
}

/// Makes the directory if it is to be made; whoever is root in the container may write to it.
fn bind_source(path: &str, is_made: bool, owner: Option<(u32, u32)>) -> Result<()> {
    let source = Path::new(path);
    if source.exists() {
        return Ok(());
    }
    if is_made {
        let made: Vec<&Path> = source.ancestors().take_while(|path| !path.exists()).collect();
        std::fs::create_dir_all(source).map_err(failed("make directory", source))?;
        if let Some((uid, gid)) = owner {
            for path in made {
                std::os::unix::fs::lchown(path, Some(uid), Some(gid)).map_err(failed("give away", path))?;
            }
        }
        return Ok(());
    }
    Err(Error::invalid_argument(format!(
        "invalid mount config for type \"bind\": bind source path does not exist: {path}"
    )))
}

/// Mounts travel only between mounts that are shared, or slaves of such.
fn check_travel(path: &str, propagation: &str) -> Result<()> {
    let wanted: &[&str] = match propagation {
        "shared" | "rshared" => &["shared:"],
        "slave" | "rslave" => &["shared:", "master:"],
        _ => return Ok(()),
    };
    let text = std::fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    let path = Path::new(path).canonicalize().map_err(failed("look at", Path::new(path)))?;
    let found = text
        .lines()
        .filter_map(|line| {
            let fields: Vec<&str> = line.split(' ').collect();
            let place = *fields.get(4)?;
            path.starts_with(place).then(|| (place.to_owned(), fields))
        })
        // Of two at one place, the later covers the earlier.
        .max_by_key(|(place, _)| place.len());
    let Some((place, fields)) = found else { return Ok(()) };
    let optional = fields.iter().skip(6).take_while(|field| **field != "-");
    if optional.into_iter().any(|field| wanted.iter().any(|word| field.starts_with(word))) {
        return Ok(());
    }
    let what = if wanted.len() == 1 { "a shared mount" } else { "a shared or slave mount" };
    Err(Error::invalid_argument(format!(
        "path {} is mounted on {place} but it is not {what}",
        path.display()
    )))
}

async fn image_part(engine: &Engine, key: &str, subpath: &str, at: PathBuf) -> Result<Held> {
    let request = MountsRequest { snapshotter: engine.supervisor.snapshotter.clone(), key: key.to_owned() };
    let answer = engine.supervisor.snapshots().mounts(request).await;
    let mounts = answer.map_err(supervisor::failed("find the files of a mounted image"))?.into_inner().mounts;
    let (whole, subpath) = (at.with_extension("image"), subpath.to_owned());
    let work =
        move || with_mounted(&mounts, None, &whole, Access::Read, |root| Held::part(&root.0, &subpath, at));
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|cause| Error::internal("cannot mount an image").with_source(cause))?
}

/// Makes the snapshots through which a new container sees the images that it mounts.
///
/// # Errors
/// An image is gone, or the supervisor refuses.
pub async fn view_images(engine: &Arc<Engine>, record: &mut Record) -> Result<()> {
    for (at, mount) in record.mounts.iter_mut().enumerate() {
        let Source::Image { id, key, .. } = &mut mount.source else { continue };
        let image = engine.images.find(engine, id).await?;
        *key = format!("{}-image-{at}", record.id);
        let request = ViewSnapshotRequest {
            snapshotter: engine.supervisor.snapshotter.clone(),
            key: key.clone(),
            parent: image.chain_id.clone(),
            labels: [("containerd.io/gc.root".to_owned(), Time::now().rfc3339())].into(),
        };
        let mut snapshots = engine.supervisor.snapshots();
        let mut answer = snapshots.view(request.clone()).await;
        if answer.as_ref().is_err_and(|status| status.code() == tonic::Code::NotFound) {
            crate::images::unpack(engine, &image).await?;
            answer = snapshots.view(request).await;
        }
        answer.map_err(supervisor::failed(format!("mount image {}", image.name)))?;
    }
    Ok(())
}

/// Removes those snapshots; absent is removed.
///
/// # Errors
/// The supervisor refuses.
pub async fn forget_images(engine: &Engine, record: &Record) -> Result<()> {
    for mount in &record.mounts {
        let Source::Image { key, .. } = &mount.source else { continue };
        forget_image(engine, key.clone()).await?;
    }
    Ok(())
}

/// Removes them without the container's record, which would name them.
///
/// # Errors
/// The supervisor refuses.
pub async fn forget_images_of(engine: &Engine, id: &str) -> Result<()> {
    let snapshotter = engine.supervisor.snapshotter.clone();
    let request = ListSnapshotsRequest { snapshotter, filters: vec![format!("name~=\"^{id}-image-\"")] };
    let failed = || supervisor::failed("look for the snapshots of mounted images");
    let mut found = engine.supervisor.snapshots().list(request).await.map_err(failed())?.into_inner();
    while let Some(page) = found.message().await.map_err(failed())? {
        for snapshot in page.info {
            forget_image(engine, snapshot.name).await?;
        }
    }
    Ok(())
}

async fn forget_image(engine: &Engine, key: String) -> Result<()> {
    let request = RemoveSnapshotRequest { snapshotter: engine.supervisor.snapshotter.clone(), key };
    let answer = engine.supervisor.snapshots().remove(request).await;
    supervisor::optional(answer, "remove the snapshot of a mounted image").map(drop)
}
