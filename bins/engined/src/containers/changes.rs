//! What a container changed of its image.

use std::os::fd::OwnedFd;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::Path;
use std::time::Instant;

use engine_api::container::Change;
use errdefs::Result;
use rustix::fs::OFlags;

use super::Container;
use super::rootfs::{self, Root};
use crate::engine::Engine;
use crate::metrics::Action;

const MODIFIED: u8 = 0;
const ADDED: u8 = 1;
const DELETED: u8 = 2;

/// `GET /containers/{id}/changes`, read from the writable layer alone.
///
/// # Errors
/// The snapshot is gone.
pub async fn changes(engine: &Engine, container: &Container) -> Result<Vec<Change>> {
    let at = Instant::now();
    let mounts = rootfs::mounts(engine, container).await?;
    let option = |name: &str| {
        mounts
            .iter()
            .flat_map(|mount| &mount.options)
            .find_map(|option| option.strip_prefix(name))
            .map(str::to_owned)
    };
    let upper =
        option("upperdir=").or_else(|| mounts.first().map(|mount| mount.source.clone())).unwrap_or_default();
    let lowers: Vec<Root> = option("lowerdir=")
        .iter()
        .flat_map(|list| list.split(':'))
        .filter_map(|path| {
            rustix::fs::open(
                path,
                OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC,
                rustix::fs::Mode::empty(),
            )
            .ok()
            .map(Root)
        })
        .collect();
    let places: Vec<String> =
        container.record().mounts.iter().map(|mount| mount.destination.clone()).collect();
    let walked = tokio::task::spawn_blocking(move || {
        let mut found = Vec::new();
        walk(Path::new(&upper), "", &lowers, &mut found);
        leave_out_mount_points(&mut found, &places);
        found.sort_by(|a, b| a.path.cmp(&b.path));
        found
    })
    .await;
    let found =
        walked.map_err(|cause| errdefs::Error::internal("cannot compare layers").with_source(cause))?;
    engine.metrics.did(Action::Changes, at);
    Ok(found)
}

/// What every container gets mounted.
const ALWAYS: [&str; 8] = [
    "/dev",
    "/proc",
    "/sys",
    "/etc/hostname",
    "/etc/hosts",
    "/etc/resolv.conf",
    "/sbin/docker-init",
    "/.dockerenv",
];

/// The runtime makes what it mounts on: that is nobody's change, nor is what it does to the
/// directories above.
fn leave_out_mount_points(found: &mut Vec<Change>, places: &[String]) {
    let is_place = |path: &str| {
        ALWAYS.contains(&path) || path.starts_with("/dev/") || places.iter().any(|place| place == path)
    };
    let above: Vec<String> = found
        .iter()
        .filter(|change| is_place(&change.path))
        .filter_map(|change| change.path.rsplit_once('/').map(|(directory, _)| directory.to_owned()))
        .collect();
    found.retain(|change| !is_place(&change.path));
    let paths: Vec<String> = found.iter().map(|change| format!("{}/", change.path)).collect();
    found.retain(|change| {
        let is_parent = above.contains(&change.path) && change.kind == MODIFIED;
        let own = format!("{}/", change.path);
        !is_parent || paths.iter().any(|path| path.starts_with(&own) && *path != own)
    });
}

fn walk(directory: &Path, shown: &str, lowers: &[Root], found: &mut Vec<Change>) {
    for entry in std::fs::read_dir(directory).into_iter().flatten().flatten() {
        let Ok(metadata) = entry.path().symlink_metadata() else { continue };
        let path = format!("{shown}/{}", entry.file_name().to_string_lossy());
        // A character device 0:0 covers what is below.
        let is_whiteout = metadata.file_type().is_char_device() && metadata.rdev() == 0;
        let is_below = lowers.iter().any(|lower| exists(lower, &path).is_some());
        let kind = match (is_whiteout, is_below) {
            (true, _) => DELETED,
            (false, true) => MODIFIED,
            (false, false) => ADDED,
        };
        found.push(Change { path: path.clone(), kind });
        if metadata.is_dir() {
            walk(&entry.path(), &path, lowers, found);
        }
    }
}

fn exists(lower: &Root, path: &str) -> Option<OwnedFd> {
    lower.open(path, OFlags::PATH | OFlags::NOFOLLOW).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mount_points_are_nobodys_change() {
        let change = |path: &str, kind| Change { path: path.into(), kind };
        let mut found = vec![
            change("/dev", ADDED),
            change("/etc", MODIFIED),
            change("/etc/hosts", ADDED),
            change("/data", ADDED),
            change("/tmp", MODIFIED),
            change("/tmp/x", ADDED),
        ];
        leave_out_mount_points(&mut found, &["/data".to_owned()]);
        assert_eq!(found, [change("/tmp", MODIFIED), change("/tmp/x", ADDED)]);
    }
}
