//! A container's whole root as an archive.

use std::io::{self, Write};
use std::os::fd::AsFd;

use bytes::Bytes;
use errdefs::Result;
use rustix::fs::{Mode, OFlags};
use tokio::sync::mpsc;

use super::Container;
use super::rootfs::Root;
use crate::engine::Engine;
use crate::remap::Remap;

/// Pieces of an answer's body.
pub type Pieces = mpsc::Receiver<io::Result<Bytes>>;

/// `GET /containers/{id}/export`.
///
/// # Errors
/// The root is gone.
pub async fn export(engine: &Engine, container: &Container) -> Result<Pieces> {
    let root = Root::bare(engine, container).await?;
    let ids = container.record().remap.as_ref().map(Remap::ids);
    engine.tell_container("export", container, &[]);
    Ok(written(move |writer| {
        let directory = rustix::fs::openat(
            &root.0,
            ".",
            OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC,
            Mode::empty(),
        )?;
        let mut writer = archive::Writer::new(writer).with_ids(ids);
        archive::pack(directory.as_fd(), &mut writer).map_err(io::Error::other)?;
        writer.finish().map_err(io::Error::other)?.flush()
    }))
}

/// Runs a writer on a thread of its own and hands its bytes out; a failure ends them with an error.
pub fn written(work: impl FnOnce(io::BufWriter<ToPieces>) -> io::Result<()> + Send + 'static) -> Pieces {
    let (send, receive) = mpsc::channel(16);
    tokio::task::spawn_blocking(move || {
        let writer = io::BufWriter::with_capacity(128 << 10, ToPieces(send.clone()));
        if let Err(error) = work(writer) {
            let _ = send.blocking_send(Err(error));
        }
    });
    receive
}

/// Writes into a body.
pub struct ToPieces(mpsc::Sender<io::Result<Bytes>>);

impl Write for ToPieces {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let sent = self.0.blocking_send(Ok(Bytes::copy_from_slice(bytes)));
        sent.map(|()| bytes.len()).map_err(|_| io::ErrorKind::BrokenPipe.into())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
