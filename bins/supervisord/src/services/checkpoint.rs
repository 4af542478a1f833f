//! Checkpoints in the content store: CRIU's images as an archive, and the container's spec beside it.

use super::diff::Sink;
use super::transfer::unique;
use containerd_api::Any;
use containerd_api::types::Descriptor;
use content::{Digest, WriterOptions};
use errdefs::{Error, Kind, Result};
use metadata::{CommitOptions, ContentWriter, Namespace};
use prost::Message;
use std::fs::File;
use std::io::{BufReader, BufWriter, Write};
use std::os::fd::AsFd;
use std::path::Path;

/// The archive of CRIU's images.
const IMAGES: &str = "application/vnd.containerd.container.criu.checkpoint.criu.tar";
/// The container's spec, a `google.protobuf.Any`.
const SPEC: &str = "application/vnd.containerd.container.checkpoint.config.v1+proto";
const BUFFER_BYTES: usize = 1 << 20;

/// Stores the images that are in a directory, and the spec; says which blobs they are.
pub fn store(namespace: &Namespace, images: &Path, spec: &Any) -> Result<Vec<Descriptor>> {
    let images = put(namespace, IMAGES, |writer| {
        let directory = File::open(images).map_err(|cause| cannot("open", images).with_source(cause))?;
        let mut archive = archive::Writer::new(BufWriter::with_capacity(BUFFER_BYTES, Sink(writer)));
        let packed = archive::pack(directory.as_fd(), &mut archive).and_then(|()| {
            let mut buffer = archive.finish()?;
            buffer.flush().map_err(archive::Error::Write)
        });
        packed.map_err(|cause| {
            Error::new(cause.kind(), format!("cannot archive {}", images.display())).with_source(cause)
        })
    })?;
    let spec = put(namespace, SPEC, |writer| writer.write(&spec.encode_to_vec()))?;
    Ok(vec![images, spec])
}

fn put(
    namespace: &Namespace,
    media_type: &str,
    fill: impl FnOnce(&mut ContentWriter) -> Result<()>,
) -> Result<Descriptor> {
    let (content, reference) = (namespace.content(), unique("checkpoint"));
    let mut writer =
        content.writer(WriterOptions { reference: reference.clone(), ..WriterOptions::default() })?;
    if let Err(error) = fill(&mut writer) {
        drop(writer);
        // The first error counts.
        let _ = content.abort(&reference);
        return Err(error);
    }
    let size = writer.offset();
    let digest = match writer.commit(CommitOptions { size, ..CommitOptions::default() }) {
        Err(error) if error.kind() == Kind::AlreadyExists => writer.digest(),
        committed => committed?,
    };
    Ok(Descriptor {
        media_type: media_type.to_owned(),
        digest: digest.to_string(),
        size: i64::try_from(size).unwrap_or(i64::MAX),
        annotations: Default::default(),
    })
}

/// Brings the images of a checkpoint into a directory.
pub fn load(namespace: &Namespace, checkpoint: &Descriptor, into: &Path) -> Result<()> {
    if checkpoint.media_type != IMAGES {
        return Err(Error::unknown(format!("unsupported checkpoint type {:?}", checkpoint.media_type)));
    }
    let digest = Digest::parse(&checkpoint.digest).map_err(|cause| {
        Error::invalid_argument(format!("digest {:?}", checkpoint.digest)).with_source(cause)
    })?;
    let stream = BufReader::with_capacity(BUFFER_BYTES, namespace.content().reader(&digest)?);
    let directory = File::open(into).map_err(|cause| cannot("open", into).with_source(cause))?;
    archive::extract(directory.as_fd(), stream, archive::Extract::default()).map_err(|cause| {
        Error::new(cause.kind(), format!("cannot extract checkpoint {digest}")).with_source(cause)
    })?;
    Ok(())
}

fn cannot(verb: &str, path: &Path) -> Error {
    Error::unknown(format!("cannot {verb} {}", path.display()))
}
