//! `containerd.services.transfer.v1.Transfer`: images between registries, archives and the store.

mod credentials;
mod download;
mod export;
mod flights;
mod import;
mod lease;
mod naming;
mod progress;
mod pull;
mod push;
mod task;
mod unpacking;

use super::records::{Answer, namespace_in, required};
use super::streaming::Streams;
use containerd_api::services::transfer::v1::{TransferRequest, transfer_server};
use containerd_api::types::transfer::{ImageExportStream, ImageImportStream, ImageStore, OciRegistry};
use containerd_api::{Any, is, unpack};
use distribution::{HostsConfig, Proxies, Transport};
use errdefs::{Error, Result};
use flights::Flights;
use metadata::{Db, Namespace};
use progress::Progress;
use std::path::PathBuf;
use std::sync::Arc;
use tonic::{Request, Response, async_trait};

/// What transfers are configured with; the names are containerd's (`io.containerd.transfer.v1.local`).
#[derive(Clone, Debug)]
pub struct TransferConfig {
    /// Roots of `hosts.toml` directories, for requests that name none.
    pub config_path: Vec<PathBuf>,
    /// Layers that one transfer downloads at a time.
    pub max_concurrent_downloads: usize,
    /// Layers that one transfer uploads at a time.
    pub max_concurrent_uploaded_layers: usize,
    /// The snapshotter of requests that name none.
    pub snapshotter: String,
}

impl TransferConfig {
    /// Where a registry's hosts are looked up, for a request that brings a directory or a scheme of its own or
    /// leaves them empty.
    pub fn hosts(&self, directory: &str, default_scheme: &str) -> HostsConfig {
        let directories = match directory {
            "" => self.config_path.clone(),
            directory => vec![PathBuf::from(directory)],
        };
        HostsConfig { directories, default_scheme: default_scheme.to_owned(), ..HostsConfig::default() }
    }
}

impl Default for TransferConfig {
    fn default() -> TransferConfig {
        TransferConfig {
            config_path: vec!["/etc/containerd/certs.d".into(), "/etc/docker/certs.d".into()],
            max_concurrent_downloads: 3,
            max_concurrent_uploaded_layers: 5,
            snapshotter: "overlayfs".to_owned(),
        }
    }
}

/// The service.
pub struct TransferService {
    db: Db,
    streams: Streams,
    config: Arc<TransferConfig>,
    transport: Arc<Transport>,
    flights: Flights,
    processors: diff::Processors,
}

impl TransferService {
    /// Serves the namespaces of `db` with the streams that clients opened; registries are reached by
    /// way of the proxies that the environment names.
    pub fn new(
        db: Db,
        streams: Streams,
        config: TransferConfig,
        processors: diff::Processors,
    ) -> Result<TransferService> {
        Ok(TransferService {
            db,
            streams,
            config: Arc::new(config),
            transport: Arc::new(Transport::new(Proxies::from_environment()?)),
            flights: Flights::default(),
            processors,
        })
    }

    fn work(&self, namespace: Namespace, progress: Progress) -> Work {
        Work {
            namespace,
            progress,
            config: self.config.clone(),
            transport: self.transport.clone(),
            flights: self.flights.clone(),
            processors: self.processors.clone(),
        }
    }

    async fn run(&self, namespace: Namespace, request: TransferRequest) -> Result<()> {
        let source = required(request.source, "source")?;
        let destination = required(request.destination, "destination")?;
        let stream = request.options.unwrap_or_default().progress_stream;
        let progress = match stream.as_str() {
            "" => Progress::default(),
            id => Progress::new(self.streams.take(namespace.name(), id)?.into_sender()),
        };
        let (namespace, lease) = lease::hold(namespace).await?;
        let work = self.work(namespace, progress);
        let streams = &self.streams;
        let result = if is::<OciRegistry>(&source) && is::<ImageStore>(&destination) {
            work.pull(streams, open(&source)?, open(&destination)?).await
        } else if is::<ImageStore>(&source) && is::<OciRegistry>(&destination) {
            work.push(streams, open(&source)?, open(&destination)?).await
        } else if is::<ImageImportStream>(&source) && is::<ImageStore>(&destination) {
            work.import(streams, open(&source)?, open(&destination)?).await
        } else if is::<ImageStore>(&source) && is::<ImageExportStream>(&destination) {
            work.export(streams, open(&source)?, open(&destination)?).await
        } else if is::<ImageStore>(&source) && is::<ImageStore>(&destination) {
            work.tag(open(&source)?, open(&destination)?).await
        } else {
            Err(Error::unimplemented(format!(
                "method Transfer not implemented for {} to {}",
                source.type_url, destination.type_url
            )))
        };
        lease.end().await;
        result
    }
}

/// One transfer's tools.
#[derive(Clone)]
struct Work {
    namespace: Namespace,
    progress: Progress,
    config: Arc<TransferConfig>,
    transport: Arc<Transport>,
    flights: Flights,
    processors: diff::Processors,
}

impl Work {
    /// Where a registry's hosts are looked up for a request.
    fn hosts(&self, registry: &OciRegistry) -> HostsConfig {
        let resolver = registry.resolver.clone().unwrap_or_default();
        self.config.hosts(&resolver.host_dir, &resolver.default_scheme)
    }
}

#[async_trait]
impl transfer_server::Transfer for TransferService {
    async fn transfer(&self, request: Request<TransferRequest>) -> Answer<()> {
        let namespace = namespace_in(&self.db, &request)?;
        Ok(Response::new(self.run(namespace, request.into_inner()).await?))
    }
}

fn open<M: containerd_api_message::Message>(any: &Any) -> Result<M> {
    unpack::<M>(any).map_err(|cause| Error::invalid_argument("cannot read transfer").with_source(cause))
}

/// What [`unpack`] needs of a message.
mod containerd_api_message {
    pub trait Message: prost::Message + prost::Name + Default {}
    impl<M: prost::Message + prost::Name + Default> Message for M {}
}

/// A name that nothing else has.
pub fn unique(what: &str) -> String {
    use std::sync::atomic::{AtomicU64, Ordering};
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    format!("{what}-{}-{}-{}", std::process::id(), now.as_nanos(), COUNT.fetch_add(1, Ordering::Relaxed))
}

/// Runs what may wait for the disk elsewhere.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    match tokio::task::spawn_blocking(work).await {
        Ok(outcome) => outcome,
        Err(cause) => Err(Error::internal("cannot finish the transfer").with_source(cause)),
    }
}
