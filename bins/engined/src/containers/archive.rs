//! Copying paths out of and into a container.

use std::io::{self, BufReader, Read, Write};
use std::os::fd::AsFd;

use bytes::{Buf, Bytes};
use engine_api::container::PathStat;
use errdefs::{Error, Kind, Result};
use http::{HeaderValue, Response};
use rustix::fs::{FileType, Mode, OFlags};
use tokio::sync::mpsc;

use super::Container;
use super::export::{Pieces, written};
use super::rootfs::{Access, Root};
use crate::engine::Engine;
use crate::remap::Remap;

/// What of Go's os.FileMode clients look at.
const GO_DIRECTORY: u32 = 1 << 31;
const GO_SYMLINK: u32 = 1 << 27;

/// Looks at a path; a link is looked at itself. `typed` is what the client calls the container.
///
/// # Errors
/// There is no such path.
pub async fn stat(engine: &Engine, container: &Container, typed: &str, path: &str) -> Result<PathStat> {
    let root = Root::of(engine, container, Access::Read).await?;
    look(&root, typed, path)
}

fn missing(typed: &str, path: &str) -> Error {
    Error::not_found(format!("Could not find the file {path} in container {typed}"))
}

/// Whether the path says itself that it is a directory's: then links at its end are followed.
fn is_of_directory(path: &str) -> bool {
    path.ends_with('/') || path.ends_with("/.")
}

/// Directory and last part of a path; the root itself has the name `/`.
fn split(path: &str) -> (String, String) {
    let is_contents = is_of_directory(path);
    let path = path.trim_end_matches("/.").trim_end_matches('/');
    let path = path.trim_start_matches('/');
    if path.is_empty() || path == "." {
        return ("/".into(), ".".into());
    }
    if is_contents {
        return (format!("/{path}"), ".".into());
    }
    match path.rsplit_once('/') {
        Some((directory, name)) => (format!("/{directory}"), name.to_owned()),
        None => ("/".into(), path.to_owned()),
    }
}

fn look(root: &Root, typed: &str, path: &str) -> Result<PathStat> {
    if path.is_empty() {
        return Err(Error::invalid_argument("missing parameter: path"));
    }
    let (_, name) = split(path);
    let whole = path.trim_end_matches("/.").trim_end_matches('/');
    let how = if is_of_directory(path) { OFlags::DIRECTORY } else { OFlags::NOFOLLOW };
    let node = root.open(whole, OFlags::PATH | how).map_err(|cause| match cause.kind() {
        io::ErrorKind::NotADirectory => Error::invalid_argument(format!("{path}: not a directory")),
        _ => missing(typed, path),
    })?;
    let stat = rustix::fs::fstat(&node)
        .map_err(|cause| Error::internal("cannot look at a path").with_source(io::Error::from(cause)))?;
    let kind = FileType::from_raw_mode(stat.st_mode);
    let mut mode = stat.st_mode & 0o777;
    let mut link_target = String::new();
    match kind {
        FileType::Directory => mode |= GO_DIRECTORY,
        FileType::Symlink => {
            mode |= GO_SYMLINK;
            link_target = rustix::fs::readlinkat(&node, "", Vec::new())
                .map(|target| target.to_string_lossy().into_owned())
                .unwrap_or_default();
            // Clients follow it themselves, from the root.
            if !link_target.starts_with('/') {
                link_target = format!("{}/{link_target}", split(path).0.trim_end_matches('/'));
            }
        }
        FileType::CharacterDevice => mode |= 1 << 26 | 1 << 21,
        FileType::BlockDevice => mode |= 1 << 26,
        FileType::Fifo => mode |= 1 << 25,
        FileType::Socket => mode |= 1 << 24,
        _ => {}
    }
    let mtime = crate::time::Time(stat.st_mtime * 1_000_000_000 + stat.st_mtime_nsec as i64).rfc3339();
    let name = if name == "." {
        whole.rsplit('/').next().filter(|name| !name.is_empty()).unwrap_or("/").to_owned()
    } else {
        name
    };
    Ok(PathStat { name, size: stat.st_size, mode, mtime, link_target })
}

/// Puts what was seen into the answer's head.
///
/// # Errors
/// It cannot be a header.
pub fn with_stat<B>(mut answer: Response<B>, stat: &PathStat) -> Result<Response<B>> {
    use base64::Engine as _;
    let json = serde_json::to_vec(stat)
        .map_err(|cause| Error::internal("cannot encode a path").with_source(cause))?;
    let text = base64::engine::general_purpose::STANDARD.encode(json);
    let value = HeaderValue::from_str(&text)
        .map_err(|cause| Error::internal("cannot encode a path").with_source(cause))?;
    answer.headers_mut().insert("x-docker-container-path-stat", value);
    Ok(answer)
}

/// An archive of a file or a directory with all below it.
///
/// # Errors
/// There is no such path.
pub async fn get(
    engine: &Engine,
    container: &Container,
    typed: &str,
    path: &str,
) -> Result<(PathStat, Pieces)> {
    let root = Root::of(engine, container, Access::Read).await?;
    let stat = look(&root, typed, path)?;
    let ids = container.record().remap.as_ref().map(Remap::ids);
    let (directory, name) = split(path);
    let parent =
        root.open(&directory, OFlags::RDONLY | OFlags::DIRECTORY).map_err(|_| missing(typed, path))?;
    engine.tell_container("archive-path", container, &[]);
    // `DIRECTORY/.` is what is in it: its entries have no name above them.
    let shown = match name.as_str() {
        "." if path.ends_with("/.") => ".".to_owned(),
        "." => stat.name.trim_matches('/').to_owned(),
        _ => name.clone(),
    };
    Ok((
        stat,
        written(move |writer| {
            let mut writer = archive::Writer::new(writer).with_ids(ids);
            copy_out(&parent, &name, &shown, &mut writer).map_err(io::Error::other)?;
            writer.finish().map_err(io::Error::other)?.flush()
        }),
    ))
}

/// Writes a node under the name that the client expects, and everything below it.
fn copy_out<W: Write>(
    parent: &impl AsFd,
    name: &str,
    shown: &str,
    writer: &mut archive::Writer<W>,
) -> archive::Result<()> {
    let shown = if shown.is_empty() { "." } else { shown };
    let Some((entry, file, _)) = archive::describe(parent.as_fd(), name.as_bytes(), shown.as_bytes())? else {
        return Ok(());
    };
    match file {
        Some(mut file) => return writer.append(&entry, &mut file),
        None => writer.append(&entry, &mut io::empty())?,
    }
    if entry.kind != archive::Kind::Directory {
        return Ok(());
    }
    let open = |names: OFlags| {
        rustix::fs::openat(
            parent,
            name,
            names | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC,
            Mode::empty(),
        )
    };
    let Ok(directory) = open(OFlags::RDONLY) else { return Ok(()) };
    let mut names: Vec<String> = Vec::new();
    if let Ok(entries) = rustix::fs::Dir::read_from(&directory) {
        names.extend(
            entries
                .flatten()
                .map(|entry| entry.file_name().to_string_lossy().into_owned())
                .filter(|name| name != "." && name != ".."),
        );
    }
    names.sort();
    names.iter().try_for_each(|name| copy_out(&directory, name, &format!("{shown}/{name}"), writer))
}

/// How an archive is brought in.
#[derive(Clone, Copy, Default)]
pub struct Put {
    /// Directories and files never take each other's place.
    pub keeps_kinds: bool,
    /// What is made belongs to the container's user.
    pub for_user: bool,
}

/// Brings an archive into a directory of the container.
///
/// # Errors
/// The path is no directory, it is read-only, or the archive is broken.
pub async fn put(
    engine: &Engine,
    container: &Container,
    typed: &str,
    path: &str,
    wish: Put,
    body: mpsc::Receiver<Bytes>,
) -> Result<()> {
    let record = container.record();
    if path.is_empty() {
        return Err(Error::invalid_argument("missing parameter: path"));
    }
    let inside = |destination: &str| {
        path == destination || path.starts_with(&format!("{}/", destination.trim_end_matches('/')))
    };
    let read_only_mount = record
        .mounts
        .iter()
        .filter(|mount| inside(&mount.destination))
        .max_by_key(|mount| mount.destination.len());
    if read_only_mount.map_or(record.host_config.readonly_rootfs, |mount| mount.is_read_only) {
        let what = if read_only_mount.is_some() { "mounted volume" } else { "container rootfs" };
        return Err(Error::permission_denied(format!("{what} is marked read-only")));
    }
    let root = Root::of(engine, container, Access::Write).await?;
    let owner = match (wish.for_user, record.config.user.as_str()) {
        (false, _) | (_, "") => None,
        (true, user) => {
            let (user, _) = root.accounts().resolve(user, &[])?;
            Some((user.uid, user.gid))
        }
    };
    let directory =
        root.open(path, OFlags::RDONLY | OFlags::DIRECTORY).map_err(|cause| match cause.raw_os_error() {
            Some(code) if code == rustix::io::Errno::NOTDIR.raw_os_error() => {
                Error::invalid_argument(format!("extraction point is not a directory: {path}"))
            }
            _ => missing(typed, path),
        })?;
    let ids = record.remap.as_ref().map(Remap::ids);
    let applied = tokio::task::spawn_blocking(move || {
        let mut stream = BufReader::with_capacity(128 << 10, FromPieces { body, piece: Bytes::new() });
        let wish = archive::Extract { keeps_kinds: wish.keeps_kinds, owner, ids };
        archive::extract(directory.as_fd(), &mut stream, wish)
    });
    let applied =
        applied.await.map_err(|cause| Error::internal("cannot extract an archive").with_source(cause))?;
    applied.map_err(|cause| {
        let kind = match cause.kind() {
            Kind::Unknown => Kind::Internal,
            // Broken or cut off by its sender.
            Kind::DataLoss => Kind::InvalidArgument,
            kind => kind,
        };
        Error::new(kind, "cannot extract the archive").with_source(cause)
    })?;
    engine.tell_container("extract-to-dir", container, &[]);
    Ok(())
}

/// Reads a body on a thread that may wait.
struct FromPieces {
    body: mpsc::Receiver<Bytes>,
    piece: Bytes,
}

impl Read for FromPieces {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.piece.is_empty() {
            match self.body.blocking_recv() {
                Some(piece) => self.piece = piece,
                None => return Ok(0),
            }
        }
        let length = self.piece.len().min(buffer.len());
        self.piece.copy_to_slice(&mut buffer[..length]);
        Ok(length)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_split() {
        for (path, directory, name) in [
            ("/etc/hosts", "/etc", "hosts"),
            ("/etc/", "/etc", "."),
            ("/", "/", "."),
            ("/a/b/.", "/a/b", "."),
            ("x", "/", "x"),
        ] {
            assert_eq!(split(path), (directory.to_owned(), name.to_owned()), "{path}");
        }
    }
}
