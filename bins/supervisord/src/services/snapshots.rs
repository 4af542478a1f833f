//! `containerd.services.snapshots.v1.Snapshots`.

use super::records::{Answer, blocking, namespace_in, paths, required};
use containerd_api::services::snapshots::v1::snapshots_server;
use containerd_api::services::snapshots::v1::*;
use metadata::{Db, Snapshots};
use std::pin::Pin;
use tokio_stream::Stream;
use tonic::{Request, Response, Status, async_trait};

/// How many records one message of a list holds.
const BATCH: usize = 100;

/// The service.
pub struct SnapshotsService(pub Db);

impl SnapshotsService {
    /// The snapshots that a request means.
    fn of<T>(&self, request: &Request<T>, snapshotter: &str) -> Result<Snapshots, Status> {
        Ok(namespace_in(&self.0, request)?.snapshots(snapshotter)?)
    }
}

#[async_trait]
impl snapshots_server::Snapshots for SnapshotsService {
    type ListStream = Pin<Box<dyn Stream<Item = Result<ListSnapshotsResponse, Status>> + Send>>;

    async fn prepare(&self, request: Request<PrepareSnapshotRequest>) -> Answer<PrepareSnapshotResponse> {
        let snapshots = self.of(&request, &request.get_ref().snapshotter)?;
        let PrepareSnapshotRequest { key, parent, labels, .. } = request.into_inner();
        let mounts = blocking(move || snapshots.prepare(&key, &parent, &labels)).await?;
        Ok(Response::new(PrepareSnapshotResponse { mounts }))
    }

    async fn view(&self, request: Request<ViewSnapshotRequest>) -> Answer<ViewSnapshotResponse> {
        let snapshots = self.of(&request, &request.get_ref().snapshotter)?;
        let ViewSnapshotRequest { key, parent, labels, .. } = request.into_inner();
        let mounts = blocking(move || snapshots.view(&key, &parent, &labels)).await?;
        Ok(Response::new(ViewSnapshotResponse { mounts }))
    }

    async fn mounts(&self, request: Request<MountsRequest>) -> Answer<MountsResponse> {
        let snapshots = self.of(&request, &request.get_ref().snapshotter)?;
        let key = request.into_inner().key;
        let mounts = blocking(move || snapshots.mounts(&key)).await?;
        Ok(Response::new(MountsResponse { mounts }))
    }

    async fn commit(&self, request: Request<CommitSnapshotRequest>) -> Answer<()> {
        let snapshots = self.of(&request, &request.get_ref().snapshotter)?;
        let CommitSnapshotRequest { name, key, labels, parent, .. } = request.into_inner();
        blocking(move || snapshots.commit(&name, &key, &parent, &labels)).await.map(Response::new)
    }

    async fn remove(&self, request: Request<RemoveSnapshotRequest>) -> Answer<()> {
        let snapshots = self.of(&request, &request.get_ref().snapshotter)?;
        let key = request.into_inner().key;
        blocking(move || snapshots.remove(&key)).await.map(Response::new)
    }

    async fn stat(&self, request: Request<StatSnapshotRequest>) -> Answer<StatSnapshotResponse> {
        let snapshots = self.of(&request, &request.get_ref().snapshotter)?;
        Ok(Response::new(StatSnapshotResponse { info: Some(snapshots.stat(&request.get_ref().key)?) }))
    }

    async fn update(&self, request: Request<UpdateSnapshotRequest>) -> Answer<UpdateSnapshotResponse> {
        let snapshots = self.of(&request, &request.get_ref().snapshotter)?;
        let UpdateSnapshotRequest { info, update_mask, .. } = request.into_inner();
        let info = required(info, "info")?;
        let updated = blocking(move || snapshots.update(&info, &paths(update_mask))).await?;
        Ok(Response::new(UpdateSnapshotResponse { info: Some(updated) }))
    }

    async fn list(&self, request: Request<ListSnapshotsRequest>) -> Answer<Self::ListStream> {
        let snapshots = self.of(&request, &request.get_ref().snapshotter)?;
        let infos = snapshots.list(&request.get_ref().filters)?;
        let batches: Vec<_> =
            infos.chunks(BATCH).map(|batch| Ok(ListSnapshotsResponse { info: batch.to_vec() })).collect();
        Ok(Response::new(Box::pin(tokio_stream::iter(batches))))
    }

    async fn usage(&self, request: Request<UsageRequest>) -> Answer<UsageResponse> {
        let snapshots = self.of(&request, &request.get_ref().snapshotter)?;
        let key = request.into_inner().key;
        let usage = blocking(move || snapshots.usage(&key)).await?;
        let number = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
        Ok(Response::new(UsageResponse { size: number(usage.size), inodes: number(usage.inodes) }))
    }

    async fn cleanup(&self, request: Request<CleanupRequest>) -> Answer<()> {
        let snapshots = self.of(&request, &request.get_ref().snapshotter)?;
        blocking(move || snapshots.cleanup()).await.map(Response::new)
    }
}
