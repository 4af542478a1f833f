//! The gRPC and ttrpc servers: which services there are, on which sockets.

use crate::authority::Lenient;
use crate::config::{Config, NATIVE, OVERLAY};
use crate::metrics::{self, Calls, Endpoint};
use crate::proxy::Proxy;
use crate::requests::Logged;
use crate::restart::Monitor;
use crate::sandboxes::Sandboxes;
use crate::services::containers::ContainersService;
use crate::services::content::ContentService;
use crate::services::diff::DiffService;
use crate::services::events::{EventsService, shim_server};
use crate::services::health::HealthService;
use crate::services::images::ImagesService;
use crate::services::introspection::IntrospectionService;
use crate::services::leases::LeasesService;
use crate::services::namespaces::NamespacesService;
use crate::services::reflection::{Reflection, ReflectionV1, ReflectionV1Alpha};
use crate::services::sandbox::{SandboxControllerService, SandboxStoreService};
use crate::services::snapshots::SnapshotsService;
use crate::services::streaming::{StreamingService, Streams};
use crate::services::tasks::TasksService;
use crate::services::transfer::TransferService;
use crate::services::version::VersionService;
use crate::shims::{Daemon, Layout, Programs, Shims, socket_dir};
use crate::tasks::Tasks;
use crate::tcp;
use containerd_api::grpc::health::v1::health_server::HealthServer;
use containerd_api::services::containers::v1::containers_server::ContainersServer;
use containerd_api::services::content::v1::content_server::ContentServer;
use containerd_api::services::diff::v1::diff_server::DiffServer;
use containerd_api::services::events::v1::events_server::EventsServer;
use containerd_api::services::images::v1::images_server::ImagesServer;
use containerd_api::services::introspection::v1::introspection_server::IntrospectionServer;
use containerd_api::services::leases::v1::leases_server::LeasesServer;
use containerd_api::services::namespaces::v1::namespaces_server::NamespacesServer;
use containerd_api::services::sandbox::v1::controller_server::ControllerServer;
use containerd_api::services::sandbox::v1::store_server::StoreServer;
use containerd_api::services::snapshots::v1::snapshots_server::SnapshotsServer;
use containerd_api::services::streaming::v1::streaming_server::StreamingServer;
use containerd_api::services::tasks::v1::tasks_server::TasksServer;
use containerd_api::services::transfer::v1::transfer_server::TransferServer;
use containerd_api::services::version::v1::version_server::VersionServer;
use errdefs::{Error, Result};
use events::Exchange;
use metadata::{Db, SnapshotterOpener};
use snapshots::{Native, Overlay};
use std::fs::{self, Permissions};
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio_stream::StreamExt;
use tokio_stream::wrappers::UnixListenerStream;
use tonic::server::NamedService;
use tonic::service::RoutesBuilder;

/// How long calls may go on after the signal to stop; streams of events would go on for ever.
const DRAIN: Duration = Duration::from_millis(500);
/// How long accepting rests after a failure.
const REST: Duration = Duration::from_millis(100);
/// Flow control windows: content flows in and out in messages of a megabyte.
const STREAM_WINDOW: u32 = 2 << 20;
const CONNECTION_WINDOW: u32 = 4 << 20;

/// Where the clients come in.
pub struct Sockets {
    pub grpc: std::os::unix::net::UnixListener,
    pub ttrpc: std::os::unix::net::UnixListener,
}

/// Everything behind the services.
pub struct Parts {
    pub exchange: Exchange,
    pub records: Db,
    pub shims: Shims,
    /// Those that run sandboxes.
    pub sandboxes: Shims,
}

/// Makes a directory with this very mode, even if it exists.
fn directory(path: &Path, mode: u32) -> Result<()> {
    let made = fs::DirBuilder::new().recursive(true).mode(mode).create(path);
    made.and_then(|()| fs::set_permissions(path, Permissions::from_mode(mode))).map_err(|cause| {
        Error::unknown(format!("cannot make directory {}", path.display())).with_source(cause)
    })
}

impl Parts {
    /// Opens what is on disk. Cheap: the collector and the shims come later.
    pub fn open(config: &Config) -> Result<Parts> {
        directory(&config.root, 0o700)?;
        directory(&config.state, 0o711)?;
        directory(&config.root.join(METADATA), 0o700)?;
        for part in ["bin", "lib"] {
            config.opt.as_ref().map_or(Ok(()), |opt| directory(&opt.join(part), 0o711))?;
        }
        let exchange = Exchange::new();
        let records = Db::open(records(config, &exchange)?)?;
        let daemon = Daemon {
            grpc_address: config.grpc.path.display().to_string(),
            ttrpc_address: config.ttrpc.path.display().to_string(),
            executable: std::env::current_exe()
                .map_err(|cause| Error::unknown("cannot find this executable").with_source(cause))?,
            socket_dir: socket_dir(&config.state),
            debug: matches!(config.log_level.as_str(), "debug" | "trace"),
            // Every task costs two.
            descriptors: daemon::descriptors::raise().ok().flatten(),
            programs: Programs::of_this_process(config.opt.as_deref()),
        };
        let layout = Layout::of_sandboxes(&config.state, &config.root);
        let sandboxes = Shims::of_sandboxes(layout, daemon.clone(), exchange.clone());
        let layout = Layout::new(&config.state, &config.root);
        let shims = Shims::new(layout, daemon, exchange.clone());
        Ok(Parts { exchange, records, shims, sandboxes })
    }

    /// Takes back what shims of a former life serve.
    pub async fn load(&self) -> Result<()> {
        self.sandboxes.load().await?;
        self.shims.load().await
    }

    fn controller(&self) -> Sandboxes {
        Sandboxes::new(self.sandboxes.clone(), self.shims.clone(), self.exchange.clone())
    }

    /// The services, each under its own name.
    fn routes(&self, config: &Config) -> Result<RoutesBuilder> {
        let mut routes = RoutesBuilder::default();
        let mut served = Vec::new();
        let records = || self.records.clone();
        let introspection = IntrospectionService::new(config, &self.records, self.shims.clone())?;
        introspection.require(&config.required_plugins)?;
        // Every service takes and gives messages up to the limits of the configuration.
        macro_rules! serve {
            ($server:ident, $service:expr) => {
                let server = $server::new($service)
                    .max_decoding_message_size(config.max_receive_bytes)
                    .max_encoding_message_size(config.max_send_bytes);
                served.push(name_of(&server));
                routes.add_service(server);
            };
        }
        serve!(ContainersServer, ContainersService(records()));
        serve!(ContentServer, ContentService(records()));
        serve!(DiffServer, DiffService { records: records(), processors: config.processors.clone() });
        serve!(EventsServer, EventsService { exchange: self.exchange.clone() });
        serve!(HealthServer, HealthService);
        serve!(ImagesServer, ImagesService(records()));
        serve!(IntrospectionServer, introspection);
        let streams = Streams::default();
        serve!(LeasesServer, LeasesService { records: records(), streams: streams.clone() });
        serve!(NamespacesServer, NamespacesService(records()));
        let sandboxes = self.controller();
        serve!(
            ControllerServer,
            SandboxControllerService { records: records(), sandboxes: sandboxes.clone() }
        );
        serve!(StoreServer, SandboxStoreService(records()));
        serve!(SnapshotsServer, SnapshotsService(records()));
        serve!(StreamingServer, StreamingService { db: records(), streams: streams.clone() });
        serve!(TasksServer, TasksService { records: records(), tasks: self.tasks(), sandboxes });
        let processors = config.processors.clone();
        serve!(
            TransferServer,
            TransferService::new(records(), streams, config.transfer.clone(), processors)?
        );
        serve!(VersionServer, VersionService);
        let reflection = Reflection::new(served);
        routes.add_service(ReflectionV1(reflection.clone())).add_service(ReflectionV1Alpha(reflection));
        Ok(routes)
    }

    fn tasks(&self) -> Tasks {
        Tasks::new(self.shims.clone())
    }

    /// Serves Prometheus, if it is to be served; then calls are counted.
    async fn counts(&self, config: &Config) -> Result<Option<Arc<Calls>>> {
        let Some(address) = &config.metrics else { return Ok(None) };
        let calls = Arc::new(Calls::new(config.grpc_histogram));
        let endpoint = Endpoint { calls: calls.clone(), records: self.records.clone(), tasks: self.tasks() };
        metrics::serve(address, endpoint).await?;
        Ok(Some(calls))
    }

    /// Opens and binds everything that may fail. What it gives serves until `stop` changes; shims that run go on.
    pub async fn serve(
        self,
        config: &Config,
        sockets: Sockets,
        stop: watch::Receiver<bool>,
    ) -> Result<impl Future<Output = Result<()>> + use<>> {
        let failed = |cause: std::io::Error| Error::unknown("cannot listen").with_source(cause);
        let grpc = tokio::net::UnixListener::from_std(sockets.grpc).map_err(failed)?;
        let ttrpc = tokio::net::UnixListener::from_std(sockets.ttrpc).map_err(failed)?;
        let stopped = |mut stop: watch::Receiver<bool>| async move {
            // The sender lives as long as the daemon, so this waits for the signal.
            let _ = stop.wait_for(|&stopped| stopped).await;
        };
        let service = Logged::new(self.routes(config)?.routes().prepare(), self.counts(config).await?);
        if let Some(at) = &config.tcp {
            let server = tcp::serve(at, builder(), service.clone(), stopped(stop.clone())).await?;
            tokio::spawn(server);
        }
        let shim_events = shim_server(self.shims.clone()).serve(ttrpc, stopped(stop.clone()));
        tokio::spawn(async move {
            if let Err(error) = shim_events.await {
                tracing::error!(%error, "the server of shim events ended");
            }
        });
        if let Some(interval) = config.restart_interval {
            let monitor = Monitor::new(self.records.clone(), self.tasks(), self.controller(), interval);
            tokio::spawn(monitor.run());
        }
        let incoming = UnixListenerStream::new(grpc).then(rested);
        let incoming = incoming.map(|accepted| accepted.map(Lenient::new));
        let server = builder().serve_with_incoming_shutdown(service, incoming, stopped(stop.clone()));
        Ok(async move {
            let too_long = async {
                stopped(stop).await;
                tokio::time::sleep(DRAIN).await;
            };
            tokio::select! {
                served = server => {
                    served.map_err(|cause| Error::unknown("cannot serve").with_source(cause))?;
                }
                () = too_long => {}
            }
            self.records.flush()
        })
    }
}

/// After a failure to accept, such as for want of descriptors, the next attempt would fail at once, too.
pub async fn rested<T>(accepted: std::io::Result<T>) -> std::io::Result<T> {
    if let Err(error) = &accepted {
        tracing::warn!(%error, "cannot accept a client");
        tokio::time::sleep(REST).await;
    }
    accepted
}

fn name_of<S: NamedService>(_: &S) -> &'static str {
    S::NAME
}

fn builder() -> tonic::transport::Server {
    tonic::transport::Server::builder()
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
}

/// The part with the records, and the directory that it has below the root.
const METADATA: &str = "io.containerd.metadata.v1.bolt";

/// The file with the records.
pub fn records_path(config: &Config) -> PathBuf {
    config.root.join(METADATA).join("meta.redb")
}

/// What the records are opened with.
pub fn records(config: &Config, exchange: &Exchange) -> Result<metadata::Config> {
    Ok(metadata::Config {
        path: records_path(config),
        content: content::Store::open(&config.root.join("io.containerd.content.v1.content"))?,
        snapshotters: snapshotters(config),
        exchange: exchange.clone(),
        sharing: config.sharing,
        gc: config.gc,
    })
}

/// How each snapshotter that is not disabled is opened.
fn snapshotters(config: &Config) -> Vec<(String, SnapshotterOpener)> {
    let mut openers: Vec<(String, SnapshotterOpener)> = Vec::new();
    if let Some((root, options)) = config.overlay.clone() {
        let open: SnapshotterOpener =
            Box::new(move |store| Ok(Arc::new(Overlay::open(root, store, options)?)));
        openers.push((name(OVERLAY), open));
    }
    if let Some(root) = config.native.clone() {
        let open: SnapshotterOpener = Box::new(move |store| Ok(Arc::new(Native::open(root, store)?)));
        openers.push((name(NATIVE), open));
    }
    for plugin in config.proxies.clone() {
        let name = plugin.name.clone();
        let open: SnapshotterOpener = Box::new(move |store| Ok(Arc::new(Proxy::open(plugin, store)?)));
        openers.push((name, open));
    }
    openers
}

/// A plugin's id: `overlayfs` of `io.containerd.snapshotter.v1.overlayfs`.
fn name(uri: &str) -> String {
    uri.rsplit('.').next().unwrap_or(uri).to_owned()
}
