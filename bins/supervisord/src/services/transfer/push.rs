//! From the store to a registry.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use bytes::Bytes;
use containerd_api::types::transfer::{ImageStore, OciRegistry};
use distribution::{BlobSource, Pushed, Repository, body_of};
use errdefs::{Error, Result};
use images::document::Document;
use images::media_type::{is_foreign, is_index, is_manifest};
use images::{Descriptor, Matcher, Platform, labels, tree};
use metadata::Content;
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinSet;

use super::download::target;
use super::progress::Meter;
use super::{Work, blocking, naming};
use crate::services::streaming::Streams;

/// Bytes of one piece of an upload.
const PIECE: usize = 256 << 10;

struct Push {
    work: Work,
    repository: Arc<Repository>,
    matcher: Matcher,
    slots: Arc<Semaphore>,
}

impl Work {
    /// Pushes what a name points to under the registry's reference.
    pub async fn push(self, streams: &Streams, store: ImageStore, registry: OciRegistry) -> Result<()> {
        let shown = format!("OCI Registry ({})", registry.reference);
        let (namespace, name) = (self.namespace.clone(), store.name.clone());
        let descriptor = blocking(move || naming::target(&namespace, &name)).await?;
        let repository = self.repository(streams, &registry)?;
        self.progress.event(format!("Pushing to {shown}"));
        let push = Push {
            matcher: Matcher::new(store.platforms.iter().map(Platform::from)),
            slots: Arc::new(Semaphore::new(self.config.max_concurrent_uploaded_layers.max(1))),
            work: self.clone(),
            repository,
        };
        let descriptor = push.what_to_push(descriptor).await?;
        self.progress.item("pushing content", &registry.reference, &descriptor);
        let push = Arc::new(push);
        push.clone().document(descriptor.clone(), vec![registry.reference.clone()], true).await?;
        self.progress.item("pushed content", &registry.reference, &descriptor);
        self.progress.event(format!("Completed push to {shown}"));
        Ok(())
    }
}

impl Push {
    /// The index when all it names is here and wanted, else the one image of it that is.
    async fn what_to_push(&self, descriptor: Descriptor) -> Result<Descriptor> {
        if !is_index(&descriptor.media_type) {
            return Ok(descriptor);
        }
        let (content, matcher) = (self.work.namespace.content(), self.matcher.clone());
        blocking(move || {
            let here = tree::manifests(&content, &descriptor, &matcher)?;
            let children = tree::children(&content, &descriptor)?;
            let all = children.iter().all(|child| {
                let there = content.info(&child.digest).is_ok();
                there && (!is_manifest(&child.media_type) || is_whole(&content, child))
            });
            let whole: Vec<&Descriptor> =
                here.iter().map(|(child, ..)| child).filter(|child| is_whole(&content, child)).collect();
            match whole.as_slice() {
                _ if all && matcher.is_any() => Ok(descriptor),
                [] => Err(Error::not_found(format!("no image of {} is here as a whole", descriptor.digest))
                    .with_hint("pull the image for the platform that is to be pushed")),
                // Not all platforms are here: the best one goes alone, as Docker does.
                [best, ..] => Ok((*best).clone()),
            }
        })
        .await
    }

    fn document(
        self: Arc<Self>,
        descriptor: Descriptor,
        parents: Vec<String>,
        tagged: bool,
    ) -> Pin<Box<dyn Future<Output = Result<()>> + Send>> {
        Box::pin(async move {
            let (content, wanted) = (self.work.namespace.content(), descriptor.clone());
            let (document, bytes) = blocking(move || {
                let bytes = content.read(&wanted.digest, images::DOCUMENT_LIMIT)?;
                Ok((tree::document(&content, &wanted)?, bytes))
            })
            .await?;
            let below = vec![descriptor.reference()];
            match document {
                Document::Index(index) => {
                    for child in index.manifests {
                        if is_index(&child.media_type) || is_manifest(&child.media_type) {
                            self.clone().document(child, below.clone(), false).await?;
                        } else {
                            self.clone().blob(child, below.clone()).await?;
                        }
                    }
                }
                Document::Manifest(manifest) => {
                    let mut blobs = JoinSet::new();
                    let wanted = manifest.layers.into_iter().filter(|layer| !is_foreign(&layer.media_type));
                    for child in wanted.chain([manifest.config]) {
                        blobs.spawn(self.clone().blob(child, below.clone()));
                    }
                    while let Some(done) = blobs.join_next().await {
                        done.map_err(|cause| Error::internal("cannot finish upload").with_source(cause))??;
                    }
                }
            }
            let meter = self.work.progress.meter(&descriptor, &parents);
            let pushed = self.repository.push_manifest(&target(&descriptor), bytes.into(), tagged).await?;
            finish(&meter, pushed);
            self.work.note_source(&self.repository, &descriptor).await
        })
    }

    async fn blob(self: Arc<Self>, descriptor: Descriptor, parents: Vec<String>) -> Result<()> {
        let meter = self.work.progress.meter(&descriptor, &parents);
        meter.tell("waiting", 0);
        let _slot = self.slots.acquire().await;
        let content = self.work.namespace.content();
        let source = source(content.clone(), descriptor.clone(), meter.clone());
        let (held, digest, reference) =
            (content, descriptor.digest.clone(), self.repository.reference().clone());
        let from = blocking(move || {
            held.info(&digest)?;
            Ok(labels::sources(&held, &digest, &reference))
        })
        .await?;
        let pushed = self.repository.push_blob(&target(&descriptor), &source, &from).await?;
        finish(&meter, pushed);
        self.work.note_source(&self.repository, &descriptor).await
    }
}

fn is_whole(content: &Content, manifest: &Descriptor) -> bool {
    let children = tree::children(content, manifest).unwrap_or_default();
    !children.is_empty()
        && children.iter().all(|child| is_foreign(&child.media_type) || content.info(&child.digest).is_ok())
}

fn finish(meter: &Meter, pushed: Pushed) {
    meter.done(match pushed {
        Pushed::Present => "already exists",
        Pushed::Mounted => "mounted",
        Pushed::Uploaded => "complete",
    });
}

/// Reads part of a blob on a thread of its own, anew for each try.
fn source(content: Content, descriptor: Descriptor, meter: Meter) -> BlobSource {
    Arc::new(move |from, length| {
        let (sender, pieces) = mpsc::channel::<std::io::Result<Bytes>>(8);
        let (content, digest, meter) = (content.clone(), descriptor.digest.clone(), meter.clone());
        tokio::task::spawn_blocking(move || {
            let reader = match content.reader(&digest) {
                Ok(reader) => reader,
                Err(error) => {
                    let _ = sender.blocking_send(Err(std::io::Error::other(error.chain())));
                    return;
                }
            };
            let mut offset = from;
            let end = reader.size().min(from + length);
            while offset < end {
                let mut piece = vec![0; PIECE.min((end - offset) as usize)];
                let sent = match reader.read_at(&mut piece, offset) {
                    Ok(0) => return,
                    Ok(count) => {
                        piece.truncate(count);
                        offset += count as u64;
                        meter.at("uploading", offset);
                        sender.blocking_send(Ok(piece.into()))
                    }
                    Err(error) => sender.blocking_send(Err(error)),
                };
                // The request was given up.
                if sent.is_err() {
                    return;
                }
            }
        });
        body_of(pieces)
    })
}
