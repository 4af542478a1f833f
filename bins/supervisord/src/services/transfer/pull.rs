//! From a registry to the store.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use containerd_api::types::transfer::{HttpDebug, ImageStore, OciRegistry, RegistryResolver};
use distribution::{Limits, Repository};
use errdefs::{Error, Kind, Result};
use images::document::{self, Document};
use images::media_type::{is_index, is_manifest, is_schema1};
use images::{Descriptor, Manifest, Matcher, Platform, labels, tree, unpack};
use reference::Reference;
use tokio::sync::Semaphore;

use super::download::target;
use super::task::Task;
use super::unpacking::{Destination, platform_of};
use super::{Work, blocking, credentials, naming};
use crate::services::streaming::Streams;

/// One pull.
struct Pull {
    work: Work,
    repository: Arc<Repository>,
    store: ImageStore,
    matcher: Matcher,
    destinations: Vec<Destination>,
    slots: Arc<Semaphore>,
}

/// What goes to a registry and comes back, credentials among it, is shown to nobody.
fn refuse_wiretap(resolver: &RegistryResolver) -> Result<()> {
    if resolver.http_debug != HttpDebug::Disabled as i32 || !resolver.logs_stream.is_empty() {
        return Err(Error::unimplemented("showing the HTTP traffic of a transfer is not supported"));
    }
    Ok(())
}

impl Work {
    /// The repository of a registry's image.
    pub fn repository(&self, streams: &Streams, registry: &OciRegistry) -> Result<Arc<Repository>> {
        let reference = Reference::parse_normalized(&registry.reference).map_err(|cause| {
            Error::invalid_argument(format!("reference {:?}", registry.reference)).with_source(cause)
        })?;
        refuse_wiretap(&registry.resolver.clone().unwrap_or_default())?;
        let mut hosts = self.hosts(registry).hosts(reference.domain())?;
        let headers = registry.resolver.clone().unwrap_or_default().headers;
        for host in &mut hosts {
            let own = headers.iter().filter(|(name, _)| !name.eq_ignore_ascii_case("authorization"));
            host.headers.extend(own.map(|(name, value)| (name.clone(), value.clone())));
        }
        let credentials = credentials::of(streams, self.namespace.name(), registry)?;
        let transport = self.transport.clone();
        Ok(Arc::new(Repository::new(reference, hosts, transport, credentials, Limits::default())))
    }

    /// Pulls an image, unpacks it where asked, and names it.
    pub async fn pull(self, streams: &Streams, registry: OciRegistry, store: ImageStore) -> Result<()> {
        let shown = format!("OCI Registry ({})", registry.reference);
        let destinations = self.destinations(&store)?;
        let repository = self.repository(streams, &registry)?;
        self.progress.event(format!("Resolving from {shown}"));
        let found = repository.resolve().await.map_err(|error| wrap(error, "failed to resolve image"))?;
        if is_schema1(&found.media_type) {
            return Err(document::schema1());
        }
        let descriptor = Descriptor::new(&found.media_type, found.digest, found.size);
        self.progress.event(format!("Pulling from {shown}"));
        self.progress.item("fetching image content", &registry.reference, &descriptor);
        let pull = Pull {
            matcher: Matcher::new(store.platforms.iter().map(Platform::from)),
            slots: Arc::new(Semaphore::new(self.config.max_concurrent_downloads.max(1))),
            work: self.clone(),
            repository,
            store,
            destinations,
        };
        let pull = Arc::new(pull);
        pull.clone().document(descriptor.clone(), vec![registry.reference.clone()], true).await?;
        let names = naming::names(&pull.store, &descriptor);
        if names.is_empty() {
            return Err(Error::not_found("no image name found"));
        }
        let (namespace, store, saved, kept) =
            (self.namespace.clone(), pull.store.clone(), descriptor.clone(), names.clone());
        blocking(move || naming::save(&namespace, &store, &kept, &saved)).await?;
        for name in &names {
            self.progress.item("saved", name, &descriptor);
        }
        self.progress.event(format!("Completed pull from {shown}"));
        Ok(())
    }
}

type Step = Pin<Box<dyn Future<Output = Result<()>> + Send>>;

impl Pull {
    /// Fetches a manifest or index and what it leads to; only metadata when not `whole`.
    fn document(self: Arc<Self>, descriptor: Descriptor, parents: Vec<String>, whole: bool) -> Step {
        Box::pin(async move {
            let bytes = self.fetch_document(&descriptor, &parents).await?;
            match document::parse(&bytes, &descriptor.media_type)? {
                Document::Index(index) => self.index(descriptor, index.manifests, whole).await,
                Document::Manifest(manifest) => self.manifest(descriptor, *manifest, whole).await,
            }
        })
    }

    async fn index(
        self: Arc<Self>,
        descriptor: Descriptor,
        manifests: Vec<Descriptor>,
        whole: bool,
    ) -> Result<()> {
        let limit = self.store.manifest_limit as usize;
        let chosen = tree::choose(&manifests, &self.matcher, limit, descriptor.digest.as_str())?;
        let mut kept = chosen.clone();
        if self.store.all_metadata {
            kept = manifests;
        }
        self.hold(&descriptor, &kept).await?;
        let parents = vec![descriptor.reference()];
        for child in kept {
            let whole = whole && chosen.contains(&child);
            if is_index(&child.media_type) || is_manifest(&child.media_type) {
                self.clone().document(child, parents.clone(), whole).await?;
            } else if whole {
                self.blob(&child, &parents).await?;
            }
        }
        Ok(())
    }

    async fn manifest(
        self: Arc<Self>,
        descriptor: Descriptor,
        manifest: Manifest,
        whole: bool,
    ) -> Result<()> {
        let parents = vec![descriptor.reference()];
        let layers = if whole { manifest.layers.clone() } else { Vec::new() };
        let children: Vec<Descriptor> =
            std::iter::once(manifest.config.clone()).chain(layers.iter().cloned()).collect();
        self.hold(&descriptor, &children).await?;
        for layer in &layers {
            self.work.progress.meter(layer, &parents).tell("waiting", 0);
        }
        let mut tasks: Vec<Option<Task>> = layers
            .iter()
            .map(|layer| {
                let (pull, layer, parents) = (self.clone(), layer.clone(), parents.clone());
                Some(Task::start(async move { pull.blob(&layer, &parents).await }))
            })
            .collect();
        self.blob(&manifest.config, &parents).await?;
        if whole {
            self.unpack(&descriptor, &manifest, &parents, &mut tasks).await?;
        }
        for task in tasks.iter_mut().filter_map(Option::take) {
            task.finish().await?;
        }
        Ok(())
    }

    /// Unpacks layers as they arrive.
    async fn unpack(
        &self,
        descriptor: &Descriptor,
        manifest: &Manifest,
        parents: &[String],
        tasks: &mut [Option<Task>],
    ) -> Result<()> {
        if self.destinations.is_empty() || !images::media_type::is_config(&manifest.config.media_type) {
            return Ok(());
        }
        let (content, wanted) = (self.work.namespace.content(), manifest.clone());
        let config = blocking(move || tree::config(&content, &wanted)).await?;
        let platform = platform_of(descriptor, &config);
        for destination in
            self.destinations.iter().filter(|destination| destination.takes(manifest, &platform))
        {
            let steps = unpack::steps(&manifest.layers, &config.rootfs.diff_ids)?;
            self.work.unpack_stack(&destination.unpacker, &steps, parents, tasks).await?;
            self.work.unpack_finish(&destination.unpacker, &manifest.config.digest, &steps).await?;
        }
        Ok(())
    }

    async fn blob(&self, descriptor: &Descriptor, parents: &[String]) -> Result<()> {
        let meter = self.work.progress.meter(descriptor, parents);
        let _slot = self.slots.acquire().await;
        self.work.download(&self.repository, descriptor, &meter).await
    }

    /// The bytes of a small document, fetched and stored unless it is here.
    async fn fetch_document(&self, descriptor: &Descriptor, parents: &[String]) -> Result<Vec<u8>> {
        let meter = self.work.progress.meter(descriptor, parents);
        meter.tell("waiting", 0);
        let (content, digest) = (self.work.namespace.content(), descriptor.digest.clone());
        let here = blocking(move || match content.read(&digest, images::DOCUMENT_LIMIT) {
            Ok(bytes) => {
                // Writing what is here puts it under the lease.
                content.write(&super::unique("manifest"), &bytes, &Default::default())?;
                Ok(Some(bytes))
            }
            Err(error) if error.kind() == Kind::NotFound => Ok(None),
            Err(error) => Err(error),
        });
        if let Some(bytes) = here.await? {
            meter.done("already exists");
            self.work.note_source(&self.repository, descriptor).await?;
            return Ok(bytes);
        }
        let bytes = self.repository.fetch_manifest(&target(descriptor)).await?.to_vec();
        // Refused before it is stored.
        document::parse(&bytes, &descriptor.media_type)?;
        let (content, stored, reference) =
            (self.work.namespace.content(), bytes.clone(), descriptor.reference());
        let source = labels::source(self.repository.reference());
        blocking(move || content.write(&reference, &stored, &[source].into())).await?;
        meter.done("complete");
        Ok(bytes)
    }

    async fn hold(&self, descriptor: &Descriptor, children: &[Descriptor]) -> Result<()> {
        let (content, digest) = (self.work.namespace.content(), descriptor.digest.clone());
        let wanted = labels::of_children(children);
        blocking(move || labels::add(&content, &digest, wanted)).await
    }
}

pub fn wrap(error: Error, what: &str) -> Error {
    let (kind, hint) = (error.kind(), error.hint().map(str::to_owned));
    let wrapped = Error::new(kind, what).with_source(error);
    match hint {
        Some(hint) => wrapped.with_hint(hint),
        None => wrapped,
    }
}
