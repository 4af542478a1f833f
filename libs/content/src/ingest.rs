//! An ingest's directory.

use crate::store::failed;
use crate::{Hasher, Status};
use errdefs::Result;
use std::fs;
use std::io::ErrorKind;
use std::path::Path;
use std::time::SystemTime;

/// What an ingest's directory says.
pub(crate) struct Ingest {
    pub(crate) status: Status,
}

/// The name of a reference's directory.
pub(crate) fn directory_name(reference: &str) -> String {
    Hasher::of(reference.as_bytes()).hex().to_owned()
}

impl Ingest {
    /// Reads the directory; `None` when it is no ingest, or one whose making was cut short.
    ///
    /// Times and total are written when a writer closes. After a crash the file times stand in for them.
    pub(crate) fn load(path: &Path) -> Result<Option<Ingest>> {
        let reference = match fs::read_to_string(path.join("ref")) {
            Ok(text) if !text.is_empty() => text,
            Ok(_) => return Ok(None),
            Err(cause) if matches!(cause.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
                return Ok(None);
            }
            Err(cause) => return Err(failed("read", &path.join("ref"), cause)),
        };
        let Ok(data) = fs::metadata(path.join("data")) else { return Ok(None) };
        let changed = data.modified().unwrap_or(SystemTime::UNIX_EPOCH);
        let made = || fs::metadata(path.join("ref")).and_then(|meta| meta.modified()).ok();
        let total = fs::read_to_string(path.join("total")).ok().and_then(|text| text.trim().parse().ok());
        Ok(Some(Ingest {
            status: Status {
                reference,
                offset: data.len(),
                total: total.unwrap_or(0),
                expected: None,
                started: time(&path.join("startedat")).or_else(made).unwrap_or(changed),
                updated: time(&path.join("updatedat")).unwrap_or(changed),
            },
        }))
    }
}

fn time(path: &Path) -> Option<SystemTime> {
    let text = fs::read_to_string(path).ok()?;
    text.trim().parse::<jiff::Timestamp>().ok().map(SystemTime::from)
}

/// Writes a small file in one rename, so that a crash leaves the old or the new text.
pub(crate) fn write_small(path: &Path, text: &str) -> Result<()> {
    let temporary = path.with_extension("tmp");
    fs::write(&temporary, text)
        .and_then(|()| fs::rename(&temporary, path))
        .map_err(|cause| failed("write", path, cause))
}

/// RFC 3339 with nanoseconds, as containerd writes it.
pub(crate) fn format_time(time: SystemTime) -> String {
    jiff::Timestamp::try_from(time).unwrap_or_default().to_string()
}
