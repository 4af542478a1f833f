//! Volumes that an engine was killed over: not made yet, or not gone yet. Neither is anybody's volume.

use std::io::ErrorKind;
use std::path::Path;

use errdefs::Result;

use super::{DATA, KEPT};
use crate::files::failed;

/// Beginning of the names of directories that are being removed: no volume is called so.
const DYING: &str = ".removing-";

/// Removes a volume's directory: as a whole, or not at all, for who looks at it after a kill.
///
/// # Errors
/// It cannot be removed; then it has its name again.
pub fn remove(directory: &Path, name: &str) -> Result<()> {
    let dying = directory.with_file_name(format!("{DYING}{name}"));
    std::fs::rename(directory, &dying).map_err(failed("rename", directory))?;
    std::fs::remove_dir_all(&dying).map_err(|cause| {
        let _ = std::fs::rename(&dying, directory);
        failed("remove", directory)(cause)
    })
}

/// Whether a directory was such a rest, and is gone.
pub fn is_swept(directory: &Path, name: &str) -> bool {
    let swept = if name.starts_with(DYING) {
        std::fs::remove_dir_all(directory)
    } else if directory.join(KEPT).symlink_metadata().is_err_and(|cause| cause.kind() == ErrorKind::NotFound)
    {
        sweep_unmade(directory)
    } else {
        return false;
    };
    if let Err(error) = &swept {
        tracing::warn!(path = %directory.display(), %error, "cannot remove what a killed engine left of a volume");
    }
    swept.is_ok()
}

/// Nobody was told that it is there, so nothing is in it; if there is, it stays.
fn sweep_unmade(directory: &Path) -> std::io::Result<()> {
    let absent_is_fine = |removed: std::io::Result<()>| match removed {
        Err(cause) if cause.kind() != ErrorKind::NotFound => Err(cause),
        _ => Ok(()),
    };
    absent_is_fine(std::fs::remove_dir(directory.join(DATA)))?;
    absent_is_fine(std::fs::remove_file(directory.join(format!("{KEPT}.new"))))?;
    std::fs::remove_dir(directory)
}

#[cfg(test)]
mod tests {
    use super::super::Volumes;
    use super::*;

    #[test]
    fn what_was_not_made_or_not_removed_is_gone_and_the_rest_stays() {
        let root = tempfile::tempdir().unwrap();
        let path = |name: &str| root.path().join(name);
        for name in ["made", "half", "full", "empty", ".removing-old"] {
            std::fs::create_dir_all(path(name).join(DATA)).unwrap();
        }
        std::fs::write(path("made").join(KEPT), "{}").unwrap();
        std::fs::write(path("half").join("volume.json.new"), "{").unwrap();
        // Somebody's data, whatever became of what was known of it.
        std::fs::write(path("full").join(DATA).join("file"), "").unwrap();
        std::fs::write(path(".removing-old").join(DATA).join("file"), "").unwrap();
        let volumes = Volumes::load(root.path()).unwrap();
        assert_eq!(volumes.snapshot().into_keys().collect::<Vec<_>>(), ["made"]);
        for (name, stays) in
            [("made", true), ("full", true), ("half", false), ("empty", false), (".removing-old", false)]
        {
            assert_eq!(path(name).exists(), stays, "{name}");
        }
        remove(&path("made"), "made").unwrap();
        assert!(!path("made").exists() && !path(".removing-made").exists());
    }
}
