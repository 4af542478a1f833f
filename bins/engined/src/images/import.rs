//! A root directory's archive as an image of one layer.

use std::io::{Read, Seek, Write};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use engine_api::container::Config;
use errdefs::{Error, Kind, Result};
use reference::Reference;
use sha2::{Digest, Sha256};
use tokio::sync::mpsc;

use super::progress::Report;
use crate::engine::Engine;
use crate::time::Time;

/// Byte counts are told no more often.
const TOLD_EVERY: Duration = Duration::from_millis(100);

/// What the new image is called and says.
#[derive(Default)]
pub struct Wish {
    pub repository: String,
    pub tag: String,
    pub message: String,
    pub config: Config,
    pub author: String,
    /// Layers below, oldest first: their archives are in the store.
    pub created_by: String,
    /// What the image is for; the host when empty.
    pub platform: containerd_api::types::Platform,
}

/// Imports the archive in `body`.
///
/// # Errors
/// The name is malformed, or the archive cannot be read.
pub async fn import(
    engine: Arc<Engine>,
    wish: Wish,
    body: mpsc::Receiver<Bytes>,
    report: Report,
) -> Result<()> {
    let name = name_of(&wish)?;
    let spooled = spool(&engine, body).await?;
    import_file(engine, wish, name, spooled, report).await
}

/// Imports the archive at a URL; one without a scheme is `http`.
///
/// # Errors
/// It cannot be had, or as [`import`].
pub async fn import_url(engine: Arc<Engine>, wish: Wish, url: String, report: Report) -> Result<()> {
    let name = name_of(&wish)?;
    let url = if url.contains("://") { url } else { format!("http://{url}") };
    let mut download = super::registry::download(&engine, &url).await?;
    report.status(format!("Downloading from {url}")).await;
    let mut file = nameless(&engine)?;
    let (mut done, total) = (0, download.length.unwrap_or_default());
    let mut told = std::time::Instant::now();
    while let Some(bytes) = download.chunk().await? {
        file.write_all(&bytes).map_err(failed_spool)?;
        done += bytes.len() as u64;
        if told.elapsed() >= TOLD_EVERY {
            told = std::time::Instant::now();
            report.bytes("", "Importing", done, total).await;
        }
    }
    file.rewind().map_err(failed_spool)?;
    import_file(engine, wish, name, file, report).await
}

async fn import_file(
    engine: Arc<Engine>,
    wish: Wish,
    name: Option<Reference>,
    spooled: std::fs::File,
    report: Report,
) -> Result<()> {
    let (archive, id) = tokio::task::spawn_blocking({
        let name = name.clone();
        move || docker_archive(spooled, &wish, name.as_ref())
    })
    .await
    .map_err(|cause| Error::internal("cannot import an archive").with_source(cause))??;
    let imported = super::load::import(&engine, feed(archive), &[], &report).await;
    let names = imported.map_err(|cause| match cause.kind() {
        Kind::DataLoss => Error::invalid_argument("cannot read the archive").with_source(cause),
        _ => cause,
    })?;
    report.status(format!("sha256:{id}")).await;
    engine.events.tell(
        "image",
        "import",
        &format!("sha256:{id}"),
        [("name".to_owned(), names.join(","))].into(),
    );
    Ok(())
}

fn name_of(wish: &Wish) -> Result<Option<Reference>> {
    if wish.repository.is_empty() {
        return Ok(None);
    }
    let bad = |cause: reference::ParseError| Error::invalid_argument(cause.to_string());
    let mut name = Reference::parse_normalized(&wish.repository).map_err(bad)?;
    if !wish.tag.is_empty() {
        name = name.with_tag(&wish.tag).map_err(bad)?;
    }
    Ok(Some(name.with_default_tag()))
}

/// Writes a body to a nameless file.
async fn spool(engine: &Engine, mut body: mpsc::Receiver<Bytes>) -> Result<std::fs::File> {
    let mut file = nameless(engine)?;
    while let Some(bytes) = body.recv().await {
        file.write_all(&bytes).map_err(failed_spool)?;
    }
    file.rewind().map_err(failed_spool)?;
    Ok(file)
}

/// A file that goes with its descriptor.
///
/// # Errors
/// The data root takes none.
fn nameless(engine: &Engine) -> Result<std::fs::File> {
    let directory = engine.config.data("tmp");
    let flags = rustix::fs::OFlags::TMPFILE | rustix::fs::OFlags::RDWR | rustix::fs::OFlags::CLOEXEC;
    let file = rustix::fs::open(&directory, flags, rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR);
    file.map(std::fs::File::from)
        .map_err(|cause| crate::files::failed("make a file in", &directory)(cause.into()))
}

fn failed_spool(cause: std::io::Error) -> Error {
    Error::internal("cannot keep an archive").with_source(cause)
}

/// The layer with its compression undone.
fn plain(mut file: std::fs::File) -> Result<Box<dyn Read + Send>> {
    let mut magic = [0; 4];
    let length = file.read(&mut magic).map_err(failed_spool)?;
    file.rewind().map_err(failed_spool)?;
    Ok(match &magic[..length] {
        [0x1f, 0x8b, ..] => Box::new(flate2::read::MultiGzDecoder::new(file)),
        [0x28, 0xb5, 0x2f, 0xfd] => Box::new(zstd::Decoder::new(file).map_err(failed_spool)?),
        _ => super::decompress::foreign(file).map_err(failed_spool)?,
    })
}

/// Puts config and manifest around the layer, as `docker save` writes them.
fn docker_archive(
    spooled: std::fs::File,
    wish: &Wish,
    name: Option<&Reference>,
) -> Result<(std::fs::File, String)> {
    let mut layer = tempfile_beside(&spooled)?;
    let mut digest = Sha256::new();
    let mut reader = plain(spooled)?;
    let mut buffer = vec![0; 128 << 10];
    let mut length = 0_u64;
    loop {
        let count = reader
            .read(&mut buffer)
            .map_err(|cause| Error::invalid_argument("cannot read the archive").with_source(cause))?;
        if count == 0 {
            break;
        }
        digest.update(&buffer[..count]);
        layer.write_all(&buffer[..count]).map_err(failed_spool)?;
        length += count as u64;
    }
    layer.rewind().map_err(failed_spool)?;
    let diff_id = hex::encode(digest.finalize());
    let now = Time::now().rfc3339();
    let config = serde_json::json!({
        "created": now, "author": wish.author, "architecture": wish.platform.architecture, "os": wish.platform.os, "comment": wish.message,
        "config": wish.config,
        "rootfs": {"type": "layers", "diff_ids": [format!("sha256:{diff_id}")]},
        "history": [{"created": now, "created_by": wish.created_by, "comment": wish.message}],
    });
    let config = serde_json::to_vec(&config).unwrap_or_default();
    let id = hex::encode(Sha256::digest(&config));
    let tags: Vec<String> = name.iter().map(|name| name.familiar()).collect();
    let manifest =
        serde_json::json!([{"Config": format!("{id}.json"), "RepoTags": tags, "Layers": ["layer.tar"]}]);
    let mut archive = tar::Builder::new(tempfile_beside(&layer)?);
    append(&mut archive, &format!("{id}.json"), config.len() as u64, config.as_slice())?;
    append(&mut archive, "layer.tar", length, layer)?;
    let manifest = serde_json::to_vec(&manifest).unwrap_or_default();
    append(&mut archive, "manifest.json", manifest.len() as u64, manifest.as_slice())?;
    let mut file = archive.into_inner().map_err(failed_spool)?;
    file.rewind().map_err(failed_spool)?;
    Ok((file, id))
}

/// Another nameless file on the same file system.
fn tempfile_beside(file: &std::fs::File) -> Result<std::fs::File> {
    use std::os::fd::AsRawFd;
    let link = std::fs::read_link(format!("/proc/self/fd/{}", file.as_raw_fd())).map_err(failed_spool)?;
    let directory = link.parent().unwrap_or(std::path::Path::new("/tmp")).to_owned();
    let flags = rustix::fs::OFlags::TMPFILE | rustix::fs::OFlags::RDWR | rustix::fs::OFlags::CLOEXEC;
    let opened = rustix::fs::open(&directory, flags, rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR);
    opened.map(std::fs::File::from).map_err(|cause| failed_spool(cause.into()))
}

fn append(archive: &mut tar::Builder<std::fs::File>, name: &str, length: u64, body: impl Read) -> Result<()> {
    let mut header = tar::Header::new_gnu();
    header.set_size(length);
    header.set_mode(0o644);
    header.set_entry_type(tar::EntryType::Regular);
    archive.append_data(&mut header, name, body).map_err(failed_spool)
}

/// Reads a file into a channel.
fn feed(mut file: std::fs::File) -> mpsc::Receiver<Bytes> {
    let (send, receive) = mpsc::channel(16);
    tokio::task::spawn_blocking(move || {
        let mut buffer = vec![0; 128 << 10];
        while let Ok(count) = file.read(&mut buffer) {
            if count == 0 || send.blocking_send(Bytes::copy_from_slice(&buffer[..count])).is_err() {
                return;
            }
        }
    });
    receive
}
