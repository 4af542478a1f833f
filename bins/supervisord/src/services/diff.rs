//! `containerd.services.diff.v1.Diff`.

use super::records::{Answer, blocking, namespace_in, required};
use containerd_api::services::diff::v1::{
    ApplyRequest, ApplyResponse, DiffRequest, DiffResponse, diff_server,
};
use containerd_api::types::Descriptor;
use content::{Digest, WriterOptions};
use diff::{Compression, Layer, Processors, Target, WriteOptions};
use errdefs::{Error, Kind, Result};
use metadata::{CommitOptions, ContentWriter, Db, Namespace};
use std::io::{self, Write};
use tonic::{Request, Response, async_trait};

const LAYER: &str = "application/vnd.oci.image.layer.v1.tar";
const UNCOMPRESSED: &str = "containerd.io/uncompressed";

/// The service.
pub struct DiffService {
    /// Where the layers are.
    pub records: Db,
    /// What makes layers of other kinds readable.
    pub processors: Processors,
}

#[async_trait]
impl diff_server::Diff for DiffService {
    async fn apply(&self, request: Request<ApplyRequest>) -> Answer<ApplyResponse> {
        let namespace = namespace_in(&self.records, &request)?;
        let (request, processors) = (request.into_inner(), self.processors.clone());
        let applied = blocking(move || apply(&namespace, &processors, &request)).await?;
        Ok(Response::new(ApplyResponse { applied: Some(applied) }))
    }

    async fn diff(&self, request: Request<DiffRequest>) -> Answer<DiffResponse> {
        let namespace = namespace_in(&self.records, &request)?;
        let request = request.into_inner();
        let made = blocking(move || write(&namespace, &request)).await?;
        Ok(Response::new(DiffResponse { diff: Some(made) }))
    }
}

fn apply(namespace: &Namespace, processors: &Processors, request: &ApplyRequest) -> Result<Descriptor> {
    let descriptor = required(request.diff.as_ref(), "diff")?;
    // Before anything is opened.
    let is_known = processors.chain(&descriptor.media_type)?.is_empty();
    let digest = Digest::parse(&descriptor.digest).map_err(|cause| {
        Error::invalid_argument(format!("digest {:?}", descriptor.digest)).with_source(cause)
    })?;
    let reader = namespace.content().reader(&digest).map_err(|cause| {
        Error::new(cause.kind(), "failed to get reader from content store").with_source(cause)
    })?;
    let target = Target::writable(&request.mounts)?;
    let stream = processors.open(&descriptor.media_type, reader, &request.payloads)?;
    let applied = diff::apply(Layer { stream, verified: is_known.then_some(&digest) }, &target)?;
    // Asked for or not: the snapshot's record will be durable, so its files have to be.
    target.sync()?;
    Ok(Descriptor {
        media_type: LAYER.to_owned(),
        digest: applied.diff_id.to_string(),
        size: i64::try_from(applied.size).unwrap_or(i64::MAX),
        annotations: Default::default(),
    })
}

fn write(namespace: &Namespace, request: &DiffRequest) -> Result<Descriptor> {
    let (media_type, compression) = match request.media_type.as_str() {
        "" | "application/vnd.oci.image.layer.v1.tar+gzip" => {
            ("application/vnd.oci.image.layer.v1.tar+gzip", Compression::Gzip)
        }
        "application/vnd.docker.image.rootfs.diff.tar.gzip" => {
            ("application/vnd.docker.image.rootfs.diff.tar.gzip", Compression::Gzip)
        }
        LAYER => (LAYER, Compression::None),
        "application/vnd.oci.image.layer.v1.tar+zstd" => {
            ("application/vnd.oci.image.layer.v1.tar+zstd", Compression::Zstd)
        }
        other => return Err(Error::unimplemented(format!("unsupported diff media type: {other}"))),
    };
    let epoch = request.source_date_epoch.map(|time| archive::Time {
        seconds: time.seconds,
        nanoseconds: u32::try_from(time.nanos).unwrap_or(0),
    });
    let reference =
        if request.r#ref.is_empty() { super::transfer::unique("diff") } else { request.r#ref.clone() };
    let content = namespace.content();
    let mut writer =
        content.writer(WriterOptions { reference: reference.clone(), ..WriterOptions::default() })?;
    writer.truncate(0)?;
    let options = WriteOptions { compression, epoch };
    let written = match diff::write(&request.left, &request.right, options, Sink(&mut writer)) {
        Ok(written) => written,
        Err(error) => {
            drop(writer);
            // The first error counts.
            let _ = content.abort(&reference);
            return Err(error);
        }
    };
    let size = writer.offset();
    let mut labels = request.labels.clone();
    labels.insert(UNCOMPRESSED.to_owned(), written.diff_id.to_string());
    let digest = match writer.commit(CommitOptions { size, expected: None, labels }) {
        Err(error) if error.kind() == Kind::AlreadyExists => writer.digest(),
        other => other?,
    };
    Ok(Descriptor {
        media_type: media_type.to_owned(),
        digest: digest.to_string(),
        size: i64::try_from(size).unwrap_or(i64::MAX),
        annotations: Default::default(),
    })
}

/// An ingest as a stream of bytes.
pub(super) struct Sink<'a>(pub(super) &'a mut ContentWriter);

impl Write for Sink<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes).map_err(|error| io::Error::other(error.chain()))?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
