//! Opening what a client left at a path: a fifo, or a file.

use rustix::fs::{Mode, OFlags};
use std::fs::{DirBuilder, OpenOptions};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, OpenOptionsExt};
use std::path::Path;

/// Opens a stdin fifo. It is opened for both directions, so that it neither waits for the client
/// to open its end nor ends when the client goes.
pub fn open_input(path: &Path) -> io::Result<OwnedFd> {
    let is_fifo = std::fs::metadata(path)?.file_type().is_fifo();
    let access = if is_fifo { OFlags::RDWR } else { OFlags::RDONLY };
    Ok(rustix::fs::open(path, access | OFlags::NONBLOCK | OFlags::CLOEXEC | OFlags::NOCTTY, Mode::empty())?)
}

/// What an output path turned out to be.
pub(crate) enum Opened {
    /// Something that can be waited for.
    Fifo(OwnedFd),
    /// A file.
    File(std::fs::File),
}

/// Opens an output path that exists: a fifo for both directions, as above; a file to append.
pub(crate) fn open_output(path: &Path) -> io::Result<Opened> {
    if std::fs::metadata(path)?.file_type().is_fifo() {
        let flags = OFlags::RDWR | OFlags::NONBLOCK | OFlags::CLOEXEC;
        return Ok(Opened::Fifo(rustix::fs::open(path, flags, Mode::empty())?));
    }
    Ok(Opened::File(OpenOptions::new().append(true).open(path)?))
}

/// Opens a file to append, made with its directories if needed.
pub(crate) fn open_file(path: &Path) -> io::Result<std::fs::File> {
    if let Some(parent) = path.parent() {
        DirBuilder::new().recursive(true).mode(0o755).create(parent)?;
    }
    OpenOptions::new().append(true).create(true).mode(0o644).open(path)
}
