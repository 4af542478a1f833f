//! Tar archives to and from the local file system, streamed beside the connection.

use std::fmt::{self, Display, Formatter};
use std::fs;
use std::io::{self, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};

use engine_client::Response;
use tokio::io::{AsyncRead, AsyncWriteExt, ReadBuf};

use crate::grammar::Failure;
use crate::output::units;

/// How many bytes of an archive have gone by.
#[derive(Clone, Debug, Default)]
pub struct Copied(Arc<AtomicU64>);

impl Copied {
    fn add(&self, bytes: usize) {
        self.0.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    /// Counts what is read of `source`.
    pub fn counting<R: AsyncRead + Unpin>(&self, source: R) -> Counting<R> {
        Counting { source, copied: self.clone() }
    }
}

impl Display for Copied {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(&units::human_size_3(self.0.load(Ordering::Relaxed) as f64))
    }
}

/// A reader that counts.
pub struct Counting<R> {
    source: R,
    copied: Copied,
}

impl<R: AsyncRead + Unpin> AsyncRead for Counting<R> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let polled = Pin::new(&mut self.source).poll_read(context, buffer);
        self.copied.add(buffer.filled().len() - before);
        polled
    }
}

/// Where an archive is unpacked.
pub struct Plan {
    pub directory: PathBuf,
    /// New name of the archive's root; `.` leaves the root out.
    pub rename: Option<PathBuf>,
}

/// Unpacks an answer's archive. The root is unpacked under a name of its own and renamed, so
/// that no entry, whatever it is called, lands outside.
///
/// # Errors
/// The archive is broken or a file cannot be written.
pub async fn unpack(mut answer: Response<'_>, plan: Plan, copied: Copied) -> Result<(), Failure> {
    let (writer, reader) = UnixStream::pair()?;
    writer.set_nonblocking(true)?;
    let mut writer = tokio::net::UnixStream::from_std(writer)?;
    let unpacking = std::thread::spawn(move || unpack_blocking(reader, &plan));
    let mut broken = false;
    while let Some(chunk) = answer.chunk().await? {
        copied.add(chunk.len());
        if writer.write_all(&chunk).await.is_err() {
            // The unpacking thread stopped; it tells why.
            broken = true;
            break;
        }
    }
    let _ = writer.shutdown().await;
    drop(writer);
    let result = unpacking.join().map_err(|_| Failure::new("unpacking the archive panicked"))?;
    result.map_err(|error| Failure::new(format!("cannot unpack: {error}")))?;
    if broken { Err(Failure::new("cannot unpack: the archive goes on after its end")) } else { Ok(()) }
}

fn archive(reader: impl io::Read) -> tar::Archive<impl io::Read> {
    let mut archive = tar::Archive::new(reader);
    archive.set_preserve_permissions(true);
    archive.set_preserve_ownerships(false);
    archive
}

fn unpack_blocking(mut reader: UnixStream, plan: &Plan) -> io::Result<()> {
    let result = match &plan.rename {
        None => archive(&mut reader).unpack(&plan.directory),
        Some(name) => unpack_renamed(&mut reader, &plan.directory, name),
    };
    // The padding after the archive's end is read away, or its writer would wait.
    io::copy(&mut reader, &mut io::sink())?;
    result
}

fn unpack_renamed(reader: &mut UnixStream, directory: &Path, name: &Path) -> io::Result<()> {
    let staging = directory.join(format!(".cp-{}", std::process::id()));
    fs::create_dir(&staging)?;
    let staged = unpack_noting_root(reader, &staging).and_then(|root| match (root, name == Path::new(".")) {
        (Some(root), true) => merge(&staging.join(root), directory),
        (Some(root), false) => fs::rename(staging.join(root), directory.join(name)),
        (None, true) => merge(&staging, directory),
        (None, false) => {
            fs::create_dir(directory.join(name))?;
            merge(&staging, &directory.join(name))
        }
    });
    let cleaned = fs::remove_dir_all(&staging);
    staged.and(cleaned)
}

/// Unpacks; gives the name of the archive's root, `None` when that is the directory itself.
fn unpack_noting_root(reader: &mut UnixStream, directory: &Path) -> io::Result<Option<PathBuf>> {
    let mut archive = archive(reader);
    let mut root = None;
    for (index, entry) in archive.entries()?.enumerate() {
        let mut entry = entry?;
        if index == 0 {
            let path = entry.path()?.into_owned();
            let mut names = path.components().filter(|part| matches!(part, std::path::Component::Normal(_)));
            root = names.next().map(|name| PathBuf::from(name.as_os_str()));
        }
        entry.unpack_in(directory)?;
    }
    Ok(root)
}

/// Moves what is in `from` into `to`; directories that are in both are merged.
fn merge(from: &Path, to: &Path) -> io::Result<()> {
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() && target.is_dir() {
            merge(&entry.path(), &target)?;
        } else {
            fs::rename(entry.path(), target)?;
        }
    }
    Ok(())
}

/// An archive of `local`, its root called `name`.
///
/// # Errors
/// The pipe cannot be made. A file that cannot be read breaks the stream.
pub fn pack(
    local: &Path,
    name: &str,
    follow: bool,
) -> Result<impl AsyncRead + Send + Unpin + 'static, Failure> {
    let (writer, reader) = UnixStream::pair()?;
    reader.set_nonblocking(true)?;
    let reader = tokio::net::UnixStream::from_std(reader)?;
    let (local, name) = (local.to_owned(), name.to_owned());
    std::thread::spawn(move || {
        let packed = pack_blocking(&local, &name, follow, &writer);
        // An engine that stops reading has its own reason, and tells it.
        if let Err(error) =
            packed.map_err(|error| (error.kind() != io::ErrorKind::BrokenPipe).then_some(error))
            && let Some(error) = error
        {
            crate::output::note(format!("cannot read {}: {error}", local.display()));
            // Ending without the archive's end marks it as broken.
            let _ = writer.shutdown(std::net::Shutdown::Both);
        }
    });
    Ok(reader)
}

fn pack_blocking(local: &Path, name: &str, follow: bool, mut writer: &UnixStream) -> io::Result<()> {
    let buffered = io::BufWriter::with_capacity(64 * 1024, &mut writer);
    let mut builder = tar::Builder::new(buffered);
    builder.follow_symlinks(false);
    let root = if follow { fs::canonicalize(local)? } else { local.to_owned() };
    if root.symlink_metadata()?.is_dir() {
        builder.append_dir_all(name, &root)?;
    } else {
        builder.append_path_with_name(&root, name)?;
    }
    builder.into_inner()?.flush()
}
