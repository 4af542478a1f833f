//! One blob from a registry into the store.

use std::time::Duration;

use bytes::Bytes;
use content::WriterOptions;
use distribution::{Repository, Target};
use errdefs::{Error, Kind, Result};
use images::{Descriptor, labels};
use metadata::{CommitOptions, ContentWriter};
use std::collections::HashMap;
use tokio::sync::mpsc;

use super::progress::Meter;
use super::{Work, blocking};

/// Wait for a writer of another client, between looks.
const BUSY: Duration = Duration::from_millis(200);

/// What goes to the writing thread.
enum Step {
    Bytes(Bytes),
    /// All is there. Without it the ingest is kept for a later resume.
    Commit,
}

/// A descriptor in the registry client's words. URLs count for foreign layers alone.
pub fn target(descriptor: &Descriptor) -> Target {
    let foreign = images::media_type::is_foreign(&descriptor.media_type);
    Target {
        media_type: descriptor.media_type.clone(),
        digest: descriptor.digest.clone(),
        size: descriptor.size,
        urls: if foreign { descriptor.urls.clone() } else { Vec::new() },
    }
}

impl Work {
    /// Brings a blob here, unless it is; what an earlier try left is taken up.
    pub async fn download(
        &self,
        repository: &Repository,
        descriptor: &Descriptor,
        meter: &Meter,
    ) -> Result<()> {
        let _flight = self.flights.take(format!("{} {}", self.namespace.name(), descriptor.digest)).await;
        let mut tries = 2;
        loop {
            tries -= 1;
            match self.download_once(repository, descriptor, meter).await {
                // Wrong bytes may come from what an earlier try left: once more from the start.
                Err(error) if error.kind() == Kind::FailedPrecondition && tries > 0 => {
                    let (content, reference) = (self.namespace.content(), descriptor.reference());
                    // Gone already, perhaps.
                    let _ = blocking(move || content.abort(&reference)).await;
                }
                result => return result,
            }
        }
    }

    async fn download_once(
        &self,
        repository: &Repository,
        descriptor: &Descriptor,
        meter: &Meter,
    ) -> Result<()> {
        let Some(writer) = self.open_writer(descriptor).await? else {
            meter.done("already exists");
            return self.note_source(repository, descriptor).await;
        };
        let offset = writer.offset();
        let target = target(descriptor);
        let mut blob = repository.fetch_blob(&target, offset).await?;
        let (key, value) = labels::source(repository.reference());
        let options = CommitOptions {
            size: descriptor.size,
            expected: Some(descriptor.digest.clone()),
            labels: HashMap::from([(key, value)]),
        };
        let (sender, steps) = mpsc::channel(64);
        let writing = tokio::task::spawn_blocking(move || write(writer, steps, options));
        let mut done = offset;
        let mut broken = None;
        loop {
            match blob.chunk().await {
                Ok(Some(bytes)) => {
                    done += bytes.len() as u64;
                    meter.at("downloading", done);
                    // A writer that failed says why below.
                    if sender.send(Step::Bytes(bytes)).await.is_err() {
                        break;
                    }
                }
                Ok(None) => {
                    let _ = sender.send(Step::Commit).await;
                    break;
                }
                Err(error) => {
                    broken = Some(error);
                    break;
                }
            }
        }
        drop(sender);
        let written =
            writing.await.map_err(|cause| Error::internal("cannot write blob").with_source(cause))?;
        if let Some(error) = broken {
            return Err(error);
        }
        written?;
        meter.done("complete");
        Ok(())
    }

    /// A writer at the place where the last one stopped; `None` when the blob is here.
    async fn open_writer(&self, descriptor: &Descriptor) -> Result<Option<ContentWriter>> {
        loop {
            let content = self.namespace.content();
            let options = WriterOptions {
                reference: descriptor.reference(),
                total: descriptor.size,
                expected: Some(descriptor.digest.clone()),
            };
            let size = descriptor.size;
            let opened = blocking(move || {
                let mut writer = content.writer(options)?;
                if writer.offset() > size {
                    writer.truncate(0)?;
                }
                Ok(writer)
            });
            match opened.await {
                Ok(writer) => return Ok(Some(writer)),
                Err(error) if error.kind() == Kind::AlreadyExists => return Ok(None),
                // Another client brings it.
                Err(error) if error.kind() == Kind::Unavailable => tokio::time::sleep(BUSY).await,
                Err(error) => return Err(error),
            }
        }
    }

    /// Notes that the repository has the blob as well.
    pub async fn note_source(&self, repository: &Repository, descriptor: &Descriptor) -> Result<()> {
        let (content, digest) = (self.namespace.content(), descriptor.digest.clone());
        let reference = repository.reference().clone();
        blocking(move || labels::add_source(&content, &digest, &reference)).await
    }
}

fn write(mut writer: ContentWriter, mut steps: mpsc::Receiver<Step>, options: CommitOptions) -> Result<()> {
    while let Some(step) = steps.blocking_recv() {
        match step {
            Step::Bytes(bytes) => writer.write(&bytes)?,
            Step::Commit => {
                return match writer.commit(options) {
                    Err(error) if error.kind() != Kind::AlreadyExists => Err(error),
                    _ => Ok(()),
                };
            }
        }
    }
    Ok(())
}
