//! From an archive to the store; and from name to name.

use containerd_api::types::transfer::{ImageImportStream, ImageStore};
use errdefs::{Error, Result};
use images::document::Document;
use images::{Descriptor, Manifest, Matcher, Platform, tree, unpack};

use super::progress::Progress;
use super::unpacking::platform_of;
use super::{Work, blocking, naming};
use crate::services::streaming::Streams;
use std::time::{Duration, Instant};

impl Work {
    /// Imports an archive of images, unpacks them where asked, and names them.
    pub async fn import(
        self,
        streams: &Streams,
        archive: ImageImportStream,
        store: ImageStore,
    ) -> Result<()> {
        let destinations = self.destinations(&store)?;
        let reader = streams.take(self.namespace.name(), &archive.stream)?.into_reader();
        self.progress.event("Importing");
        let (content, told) = (self.namespace.content(), Told::new(self.progress.clone()));
        let index = blocking(move || {
            let tell = |name: &str, done, size| told.at(name, done, size);
            match archive.force_compress {
                true => images::import::import_compressed(reader, &content, &tell),
                false => images::import::import(reader, &content, &tell),
            }
        })
        .await?;
        let matcher = Matcher::new(store.platforms.iter().map(Platform::from));
        let (content, top) = (self.namespace.content(), index.clone());
        let images = blocking(move || {
            tree::hold(&content, &top)?;
            let Document::Index(index) = tree::document(&content, &top)? else {
                return Err(Error::internal("an import gives an index"));
            };
            index
                .manifests
                .into_iter()
                .map(|image| Ok((tree::manifests(&content, &image, &matcher)?, image)))
                .collect::<Result<Vec<_>>>()
        })
        .await?;
        for (manifests, _) in &images {
            for (descriptor, manifest, _) in manifests {
                self.unpack_imported(descriptor, manifest, &destinations).await?;
            }
        }
        self.name_imported(store, index, images.into_iter().map(|(_, image)| image).collect()).await?;
        self.progress.event("Completed import");
        Ok(())
    }

    async fn unpack_imported(
        &self,
        descriptor: &Descriptor,
        manifest: &Manifest,
        destinations: &[super::unpacking::Destination],
    ) -> Result<()> {
        if destinations.is_empty() || !images::media_type::is_config(&manifest.config.media_type) {
            return Ok(());
        }
        let (content, wanted) = (self.namespace.content(), manifest.clone());
        let config = blocking(move || tree::config(&content, &wanted)).await?;
        let platform = platform_of(descriptor, &config);
        let parents = [descriptor.reference()];
        for destination in destinations.iter().filter(|destination| destination.takes(manifest, &platform)) {
            let steps = unpack::steps(&manifest.layers, &config.rootfs.diff_ids)?;
            self.unpack_stack(&destination.unpacker, &steps, &parents, &mut []).await?;
            self.unpack_finish(&destination.unpacker, &manifest.config.digest, &steps).await?;
        }
        Ok(())
    }

    async fn name_imported(
        &self,
        store: ImageStore,
        index: Descriptor,
        images: Vec<Descriptor>,
    ) -> Result<()> {
        let namespace = self.namespace.clone();
        let saved = blocking(move || {
            let mut saved = Vec::new();
            let own: Vec<String> = (!store.name.is_empty()).then(|| store.name.clone()).into_iter().collect();
            naming::save(&namespace, &store, &own, &index)?;
            saved.extend(own.into_iter().map(|name| (name, index.clone())));
            for image in images {
                let names = naming::imported_names(&store, &image);
                naming::save(&namespace, &store, &names, &image)?;
                saved.extend(names.into_iter().map(|name| (name, image.clone())));
            }
            Ok(saved)
        })
        .await?;
        for (name, descriptor) in &saved {
            self.progress.item("saved", name, descriptor);
        }
        Ok(())
    }

    /// Gives an image other names.
    pub async fn tag(self, source: ImageStore, destination: ImageStore) -> Result<()> {
        let namespace = self.namespace.clone();
        let (names, descriptor) = blocking(move || {
            let descriptor = naming::target(&namespace, &source.name)?;
            let names = naming::names(&destination, &descriptor);
            if names.is_empty() {
                return Err(Error::not_found("no image name found"));
            }
            naming::save(&namespace, &destination, &names, &descriptor)?;
            Ok((names, descriptor))
        })
        .await?;
        for name in &names {
            self.progress.item("saved", name, &descriptor);
        }
        Ok(())
    }
}

/// Tells now and then how far a file is.
struct Told {
    progress: Progress,
    last: std::cell::Cell<Option<Instant>>,
}

impl Told {
    fn new(progress: Progress) -> Told {
        Told { progress, last: std::cell::Cell::new(None) }
    }

    fn at(&self, name: &str, done: u64, size: u64) {
        let now = Instant::now();
        let due = self.last.get().is_none_or(|last| now.duration_since(last) >= Duration::from_millis(100));
        if due || done == size {
            self.last.set(Some(now));
            self.progress.bytes("importing", name, done, size);
        }
    }
}
