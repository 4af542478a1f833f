//! Layers to snapshots, where whoever brought the image did not do it.

use std::sync::Arc;

use containerd_api::services::diff::v1::ApplyRequest;
use containerd_api::services::snapshots::v1::{
    CommitSnapshotRequest, PrepareSnapshotRequest, RemoveSnapshotRequest, StatSnapshotRequest,
};
use containerd_api::types::Descriptor;
use errdefs::{Error, Result};

use super::{Image, chain_id};
use crate::engine::Engine;
use crate::supervisor::{failed, optional};

/// Unpacks every layer that has no snapshot yet.
///
/// # Errors
/// A layer is missing or does not have the content that the config promises.
pub async fn unpack(engine: &Arc<Engine>, image: &Image) -> Result<()> {
    let diff_ids = &image.document.rootfs.diff_ids;
    if diff_ids.len() != image.layers.len() {
        return Err(Error::new(
            errdefs::Kind::DataLoss,
            format!("cannot unpack image {}: config and manifest do not agree", image.name),
        ));
    }
    let snapshotter = &engine.supervisor.snapshotter;
    let mut snapshots = engine.supervisor.snapshots();
    let mut parent = String::new();
    for (at, layer) in image.layers.iter().enumerate() {
        let name = chain_id(&diff_ids[..=at]);
        let stat = StatSnapshotRequest { snapshotter: snapshotter.clone(), key: name.clone() };
        if optional(snapshots.stat(stat).await, "look at a snapshot")?.is_none() {
            let key = format!("extract-{} {name}", crate::identity::short(&crate::identity::new_id()));
            let labels = [("containerd.io/gc.root".to_owned(), crate::time::Time::now().rfc3339())];
            let prepare = PrepareSnapshotRequest {
                snapshotter: snapshotter.clone(),
                key: key.clone(),
                parent: parent.clone(),
                labels: labels.into(),
            };
            let mounts =
                snapshots.prepare(prepare).await.map_err(failed("prepare a layer"))?.into_inner().mounts;
            if let Err(error) = apply(engine, layer, mounts, &diff_ids[at]).await {
                let _ =
                    snapshots.remove(RemoveSnapshotRequest { snapshotter: snapshotter.clone(), key }).await;
                return Err(error);
            }
            let commit = CommitSnapshotRequest {
                snapshotter: snapshotter.clone(),
                name: name.clone(),
                key,
                ..Default::default()
            };
            snapshots.commit(commit).await.map_err(failed("keep a layer"))?;
        }
        parent = name;
    }
    Ok(())
}

async fn apply(
    engine: &Engine,
    layer: &super::Layer,
    mounts: Vec<containerd_api::types::Mount>,
    diff_id: &str,
) -> Result<()> {
    let descriptor = Descriptor {
        media_type: layer.media_type.clone(),
        digest: layer.digest.clone(),
        size: layer.size,
        ..Descriptor::default()
    };
    let request = ApplyRequest { diff: Some(descriptor), mounts, ..ApplyRequest::default() };
    let applied = engine
        .supervisor
        .diff()
        .apply(request)
        .await
        .map_err(failed(format!("unpack layer {}", layer.digest)))?;
    let found = applied.into_inner().applied.unwrap_or_default().digest;
    if found != diff_id {
        return Err(Error::new(
            errdefs::Kind::DataLoss,
            format!("cannot unpack layer {}: its content is {found}, not {diff_id}", layer.digest),
        ));
    }
    Ok(())
}
