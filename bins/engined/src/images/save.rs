//! Saving images as one archive.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use containerd_api::pack;
use containerd_api::services::transfer::v1::TransferRequest;
use containerd_api::types::transfer::{ImageExportStream, ImageReference, ImageStore};
use engine_api::image::Platform;
use errdefs::{Error, Result};
use tokio::sync::mpsc;

use crate::engine::Engine;
use crate::supervisor::failed;

/// Starts writing an archive of the named images.
///
/// # Errors
/// One of them is not there, or not for every platform.
pub async fn save(
    engine: &Arc<Engine>,
    names: &[String],
    platforms: &[Platform],
) -> Result<mpsc::Receiver<std::io::Result<Bytes>>> {
    let mut records = Vec::new();
    for name in names {
        let (record, image) = engine.images.find_record(engine, name).await?;
        for platform in platforms {
            engine.images.find_for(engine, name, Some(platform)).await?;
        }
        let attributes = BTreeMap::from([("name".to_owned(), name.clone())]);
        engine.events.tell("image", "save", &image.id, attributes);
        if !records.contains(&record.name) {
            records.push(record.name);
        }
    }
    let Some(first) = records.first().cloned() else {
        return Err(Error::invalid_argument("no image named"));
    };
    let store = ImageStore {
        name: first,
        extra_references: records
            .iter()
            .skip(1)
            .map(|name| ImageReference { name: name.clone(), ..ImageReference::default() })
            .collect(),
        ..ImageStore::default()
    };
    let stream = engine.supervisor.open_stream("export").await?;
    let destination = ImageExportStream {
        stream: stream.id.clone(),
        // None: all that are here.
        platforms: platforms.iter().map(super::platform::to_supervisor).collect(),
        ..ImageExportStream::default()
    };
    let request =
        TransferRequest { source: Some(pack(&store)), destination: Some(pack(&destination)), options: None };
    let (send, receive) = mpsc::channel(16);
    let mut client = engine.supervisor.transfer();
    tokio::spawn(async move {
        let bytes = send.clone();
        let receiving = stream.receive_bytes(move |piece| {
            let bytes = bytes.clone();
            async move { bytes.send(Ok(piece)).await.is_ok() }
        });
        let (result, ()) = tokio::join!(client.transfer(request), receiving);
        if let Err(status) = result {
            let error = failed("save an image")(status);
            let _ = send.send(Err(std::io::Error::other(error.chain()))).await;
        }
    });
    Ok(receive)
}
