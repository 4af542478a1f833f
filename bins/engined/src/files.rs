//! State on disk: a file is whole or it is not there.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;

use errdefs::{Error, Result};
use serde::Serialize;

/// How long what is written must last.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Promise {
    /// Survives a power cut: somebody was told that it is done.
    Durable,
    /// Survives the death of this process.
    Process,
}

/// Replaces a file in one step.
///
/// # Errors
/// Any step fails; the old file stands.
pub fn replace(path: &Path, contents: &[u8], promise: Promise) -> Result<()> {
    write(path, contents, promise)
        .map_err(|cause| Error::internal(format!("cannot write {}", path.display())).with_source(cause))
}

fn write(path: &Path, contents: &[u8], promise: Promise) -> io::Result<()> {
    let mut name = path.as_os_str().to_owned();
    name.push(".new");
    let mut file = File::create(&name)?;
    file.write_all(contents)?;
    if promise == Promise::Durable {
        file.sync_data()?;
    }
    fs::rename(&name, path)?;
    if promise == Promise::Durable
        && let Some(directory) = path.parent()
    {
        File::open(directory)?.sync_all()?;
    }
    Ok(())
}

/// [`replace`] with the JSON of a value.
///
/// # Errors
/// As [`replace`].
pub fn replace_json(path: &Path, value: &impl Serialize, promise: Promise) -> Result<()> {
    let json = serde_json::to_vec(value)
        .map_err(|cause| Error::internal(format!("cannot encode {}", path.display())).with_source(cause))?;
    replace(path, &json, promise)
}

/// Names the path in an error of the file system.
pub fn failed(action: &str, path: &Path) -> impl FnOnce(io::Error) -> Error {
    let text = format!("cannot {action} {}", path.display());
    move |cause| Error::internal(text).with_source(cause)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_replaced_whole() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a.json");
        replace_json(&path, &[1, 2], Promise::Durable).unwrap();
        replace_json(&path, &[3], Promise::Process).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "[3]");
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
    }
}
