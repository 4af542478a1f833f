//! Who a daemon is: a UUID of its own, made at its first start and kept.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};

/// The identity could not be read, or not be kept.
#[derive(Debug, thiserror::Error)]
#[error("cannot {action} {}", path.display())]
pub struct Error {
    action: &'static str,
    path: PathBuf,
    source: io::Error,
}

/// The UUID that this file holds (random(4): of `/proc/sys/kernel/random/uuid`). Where there is no such file, or an
/// empty one, it is made, with the directories above it, and lasts from then on.
///
/// # Errors
/// The file is there and cannot be read, so that the identity is not known; or it cannot be kept.
pub fn kept(path: &Path) -> Result<String, Error> {
    let failed = |action, path: &Path| {
        let path = path.to_owned();
        move |source| Error { action, path, source }
    };
    match fs::read_to_string(path) {
        Ok(text) if !text.trim().is_empty() => return Ok(text.trim().to_owned()),
        Ok(_) => {}
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        Err(error) => return Err(failed("read", path)(error)),
    }
    let random = Path::new("/proc/sys/kernel/random/uuid");
    let made = fs::read_to_string(random).map_err(failed("read", random))?;
    keep(path, made.trim()).map_err(failed("keep", path))?;
    Ok(made.trim().to_owned())
}

fn keep(path: &Path, identity: &str) -> io::Result<()> {
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    fs::create_dir_all(directory)?;
    let mut new = OsString::from(path);
    new.push(".new");
    let mut file = File::create(&new)?;
    file.write_all(identity.as_bytes())?;
    file.sync_all()?;
    fs::rename(&new, path)?;
    File::open(directory)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_made_once() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a/b/uuid");
        let made = kept(&path).unwrap();
        assert_eq!(made.split('-').map(str::len).collect::<Vec<_>>(), [8, 4, 4, 4, 12], "{made}");
        assert_eq!(kept(&path).unwrap(), made);
        assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1);
    }

    #[test]
    fn what_a_power_cut_left_empty_is_made_anew() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("uuid");
        fs::write(&path, "\n").unwrap();
        let made = kept(&path).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), made);
    }

    /// Such as for want of descriptors: a second identity would take the first one's place.
    #[test]
    fn one_that_cannot_be_read_is_not_replaced() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("uuid");
        fs::write(&path, [0xff]).unwrap();
        let error = kept(&path).unwrap_err();
        assert_eq!(error.to_string(), format!("cannot read {}", path.display()));
        assert_eq!(fs::read(&path).unwrap(), [0xff]);
    }
}
