//! From the store to an archive.

use std::io::Write;

use containerd_api::types::transfer::{ImageExportStream, ImageStore};
use errdefs::{Error, Result};
use images::export::{Options, export};
use images::{Matcher, Platform};

use super::{Work, blocking, naming};
use crate::services::streaming::Streams;

impl Work {
    /// Writes images to an archive.
    pub async fn export(
        self,
        streams: &Streams,
        store: ImageStore,
        archive: ImageExportStream,
    ) -> Result<()> {
        let platforms = || archive.platforms.iter().map(Platform::from);
        let matcher = match (archive.all_platforms, archive.platforms.is_empty()) {
            (true, _) => Matcher::new([]),
            // What is here decides, the host's platform first.
            (false, true) => Matcher::new([]),
            (false, false) => Matcher::new(platforms()),
        };
        let writer = streams.take(self.namespace.name(), &archive.stream)?.into_writer();
        self.progress.event("Exporting");
        let (namespace, progress) = (self.namespace.clone(), self.progress.clone());
        let options = Options {
            matcher,
            skip_manifest_json: archive.skip_compatibility_manifest,
            skip_foreign: archive.skip_non_distributable,
        };
        blocking(move || {
            let images: Vec<_> = naming::lookup(&namespace, &store)?
                .into_iter()
                .map(|(name, image)| (Some(name), image))
                .collect();
            let buffered = std::io::BufWriter::with_capacity(64 << 10, writer);
            let mut written = export(&images, &namespace.content(), &options, buffered, &|blob| {
                progress.meter(blob, &[]).done("exported");
            })?;
            written.flush().map_err(|cause| Error::unavailable("cannot send archive").with_source(cause))
        })
        .await?;
        self.progress.event("Completed export");
        Ok(())
    }
}
