//! Reading and writing control files, with errors that name the file and the value.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::Path;

use crate::error::{Error, Result};

/// Writes one value to a control file in one write(2); never creates the file.
pub(crate) fn write(controller: &'static str, dir: &Path, file: &str, value: &str) -> Result<()> {
    write_each(controller, dir, file, std::iter::once(value))
}

/// Writes values to a control file that takes one a write(2).
pub(crate) fn write_each<S: AsRef<str>>(
    controller: &'static str,
    dir: &Path,
    file: &str,
    values: impl IntoIterator<Item = S>,
) -> Result<()> {
    let path = dir.join(file);
    let mut opened = None;
    for value in values {
        let value = value.as_ref();
        let mut put = || match &mut opened {
            Some(file) => File::write_all(file, value.as_bytes()),
            none => none.insert(open(&path)?).write_all(value.as_bytes()),
        };
        put().map_err(|source| Error::Write {
            controller,
            path: path.clone(),
            value: value.to_owned(),
            source,
        })?;
    }
    Ok(())
}

fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new().write(true).truncate(true).open(path)
}

/// The whole text of a control file.
pub(crate) fn read(dir: &Path, file: &str) -> Result<String> {
    let path = dir.join(file);
    text(&path).map_err(|e| Error::path("read", path, e))
}

/// The whole text of a file whose size the kernel does not tell: read in few large steps.
pub(crate) fn text(path: &Path) -> io::Result<String> {
    let mut file = File::open(path)?;
    let mut bytes = Vec::with_capacity(16 * 1024);
    loop {
        let mut step = [0; 8 * 1024];
        match file.read(&mut step) {
            Ok(0) => break,
            Ok(length) => bytes.extend_from_slice(&step[..length]),
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
    String::from_utf8(bytes).map_err(|e| io::Error::new(io::ErrorKind::InvalidData, e))
}

/// As [`read`] in one read(2), for a file of one short value, which the kernel gives whole.
pub(crate) fn read_value(dir: &Path, file: &str) -> Result<String> {
    let path = dir.join(file);
    let mut value = [0; 4096];
    let length = File::open(&path).and_then(|mut opened| opened.read(&mut value));
    match length.map_err(|e| Error::path("read", path, e))? {
        // Of thousands of CPUs, perhaps.
        length if length == value.len() => read(dir, file),
        length => Ok(String::from_utf8_lossy(&value[..length]).into_owned()),
    }
}

/// As [`read`], with `None` when the file is absent (controller off, old kernel).
pub(crate) fn read_optional(dir: &Path, file: &str) -> Result<Option<String>> {
    match read(dir, file) {
        Ok(text) => Ok(Some(text)),
        Err(e) if e.is_absent() || e.is(rustix::io::Errno::OPNOTSUPP) => Ok(None),
        Err(e) => Err(e),
    }
}

/// One number; "max" reads as `u64::MAX`, as does -1.
pub(crate) fn read_u64(dir: &Path, file: &str) -> Result<u64> {
    let text = read(dir, file)?;
    number(&text).ok_or_else(|| Error::malformed(&dir.join(file), &text))
}

/// As [`read_u64`], with `None` when the file is absent.
pub(crate) fn read_u64_optional(dir: &Path, file: &str) -> Result<Option<u64>> {
    match read_u64(dir, file) {
        Ok(value) => Ok(Some(value)),
        Err(e) if e.is_absent() || e.is(rustix::io::Errno::OPNOTSUPP) => Ok(None),
        Err(e) => Err(e),
    }
}

/// A number as control files write it; a negative one or "max" means no limit, `u64::MAX`.
pub(crate) fn number(text: &str) -> Option<u64> {
    let text = text.trim();
    if text == "max" {
        return Some(u64::MAX);
    }
    text.parse::<u64>().ok().or_else(|| text.parse::<i64>().ok().map(|_| u64::MAX))
}

/// The pairs of a flat-keyed file ("key value" a line); lines of another shape are passed over.
pub(crate) fn flat_keyed(text: &str) -> impl Iterator<Item = (&str, u64)> {
    text.lines().filter_map(|line| {
        let (key, value) = line.split_once(' ')?;
        Some((key, number(value)?))
    })
}
