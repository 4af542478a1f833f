//! `containerd.services.content.v1.Content`.

use super::records::{Answer, blocking, namespace_in, paths, required};
use super::write::write;
use containerd_api::services::content::v1::content_server;
use containerd_api::services::content::v1::*;
use content::{Digest, ReaderAt};
use errdefs::{Error, Result as Outcome};
use metadata::Db;
use std::pin::Pin;
use tokio::sync::mpsc;
use tokio_stream::Stream;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status, Streaming, async_trait};

/// How many records one message of a list holds.
const BATCH: usize = 100;
/// Bytes in one message of a read.
const CHUNK: usize = 1 << 20;

type Messages<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

/// The service.
pub struct ContentService(pub Db);

fn digest(text: &str) -> Outcome<Digest> {
    Digest::parse(text)
        .map_err(|cause| Error::invalid_argument(format!("{text:?} failed validation")).with_source(cause))
}

/// An ingest's status as the API shows it.
fn status(found: content::Status) -> containerd_api::services::content::v1::Status {
    let number = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
    containerd_api::services::content::v1::Status {
        started_at: Some(events::timestamp(found.started)),
        updated_at: Some(events::timestamp(found.updated)),
        r#ref: found.reference,
        offset: number(found.offset),
        total: number(found.total),
        expected: found.expected.map(|digest| digest.to_string()).unwrap_or_default(),
    }
}

#[async_trait]
impl content_server::Content for ContentService {
    type ListStream = Messages<ListContentResponse>;
    type ReadStream = Messages<ReadContentResponse>;
    type WriteStream = Messages<WriteContentResponse>;

    async fn info(&self, request: Request<InfoRequest>) -> Answer<InfoResponse> {
        let content = namespace_in(&self.0, &request)?.content();
        let info = content.info(&digest(&request.get_ref().digest)?)?;
        Ok(Response::new(InfoResponse { info: Some(info) }))
    }

    async fn update(&self, request: Request<UpdateRequest>) -> Answer<UpdateResponse> {
        let content = namespace_in(&self.0, &request)?.content();
        let UpdateRequest { info, update_mask } = request.into_inner();
        let info = required(info, "info")?;
        digest(&info.digest)?;
        let updated = blocking(move || content.update(&info, &paths(update_mask))).await?;
        Ok(Response::new(UpdateResponse { info: Some(updated) }))
    }

    async fn list(&self, request: Request<ListContentRequest>) -> Answer<Self::ListStream> {
        let infos = namespace_in(&self.0, &request)?.content().list(&request.get_ref().filters)?;
        let batches: Vec<_> =
            infos.chunks(BATCH).map(|batch| Ok(ListContentResponse { info: batch.to_vec() })).collect();
        Ok(Response::new(Box::pin(tokio_stream::iter(batches))))
    }

    async fn delete(&self, request: Request<DeleteContentRequest>) -> Answer<()> {
        let content = namespace_in(&self.0, &request)?.content();
        let digest = digest(&request.get_ref().digest)?;
        blocking(move || content.delete(&digest)).await.map(Response::new)
    }

    async fn read(&self, request: Request<ReadContentRequest>) -> Answer<Self::ReadStream> {
        let content = namespace_in(&self.0, &request)?.content();
        let ReadContentRequest { digest: name, offset, size } = request.into_inner();
        let reader = content.reader(&digest(&name)?)?;
        let start = u64::try_from(offset).unwrap_or(0);
        let rest = reader
            .size()
            .checked_sub(start)
            .ok_or_else(|| Error::out_of_range(format!("read past object length {} bytes", reader.size())))?;
        let length = u64::try_from(size).ok().filter(|&size| size > 0).map_or(rest, |size| size.min(rest));
        let (sender, receiver) = mpsc::channel(2);
        tokio::task::spawn_blocking(move || send(&reader, start, length, &sender));
        Ok(Response::new(Box::pin(ReceiverStream::new(receiver))))
    }

    async fn status(&self, request: Request<StatusRequest>) -> Answer<StatusResponse> {
        let content = namespace_in(&self.0, &request)?.content();
        let reference = &request.get_ref().r#ref;
        let found = content.status(reference).map_err(|cause| {
            Error::new(cause.kind(), format!("could not get status for ref {reference:?}")).with_source(cause)
        })?;
        Ok(Response::new(StatusResponse { status: Some(status(found)) }))
    }

    async fn list_statuses(&self, request: Request<ListStatusesRequest>) -> Answer<ListStatusesResponse> {
        let content = namespace_in(&self.0, &request)?.content();
        let filters = request.into_inner().filters;
        let found = blocking(move || content.statuses(&filters)).await?;
        Ok(Response::new(ListStatusesResponse { statuses: found.into_iter().map(status).collect() }))
    }

    async fn write(&self, request: Request<Streaming<WriteContentRequest>>) -> Answer<Self::WriteStream> {
        let content = namespace_in(&self.0, &request)?.content();
        let (sender, receiver) = mpsc::channel(1);
        tokio::spawn(async move {
            if let Err(status) = write(content, request.into_inner(), &sender).await {
                // Nobody listens any more when this fails, and the ingest keeps what it has.
                let _ = sender.send(Err(status)).await;
            }
        });
        Ok(Response::new(Box::pin(ReceiverStream::new(receiver))))
    }

    async fn abort(&self, request: Request<AbortRequest>) -> Answer<()> {
        let content = namespace_in(&self.0, &request)?.content();
        let reference = request.into_inner().r#ref;
        blocking(move || content.abort(&reference)).await.map(Response::new)
    }
}

/// Sends a range of a blob. The offsets count from the first byte sent, as clients of this API know it.
fn send(
    reader: &ReaderAt,
    start: u64,
    length: u64,
    sender: &mpsc::Sender<Result<ReadContentResponse, Status>>,
) {
    let mut sent = 0;
    while sent < length {
        let mut data = vec![0; CHUNK.min(usize::try_from(length - sent).unwrap_or(CHUNK))];
        let message = match reader.read_at(&mut data, start + sent) {
            Ok(0) => {
                Err(Error::new(errdefs::Kind::DataLoss, "cannot read blob: its file became shorter").into())
            }
            Ok(count) => {
                data.truncate(count);
                let offset = i64::try_from(sent).unwrap_or(i64::MAX);
                sent += count as u64;
                Ok(ReadContentResponse { offset, data: data.into() })
            }
            Err(cause) => Err(Error::unknown("cannot read blob").with_source(cause).into()),
        };
        let failed = message.is_err();
        if sender.blocking_send(message).is_err() || failed {
            return;
        }
    }
}
