//! The client side of the containerd API.

mod connect;
pub mod content;
pub mod events;
pub mod managed;
pub mod stream;

use std::path::{Path, PathBuf};

use containerd_api::services::{
    containers::v1::containers_client::ContainersClient, content::v1::content_client::ContentClient,
    diff::v1::diff_client::DiffClient, events::v1::events_client::EventsClient,
    images::v1::images_client::ImagesClient, leases::v1::leases_client::LeasesClient,
    snapshots::v1::snapshots_client::SnapshotsClient, streaming::v1::streaming_client::StreamingClient,
    tasks::v1::tasks_client::TasksClient, transfer::v1::transfer_client::TransferClient,
    version::v1::version_client::VersionClient,
};
use errdefs::{Error, Result};
use tonic::metadata::{Ascii, MetadataValue};
use tonic::service::interceptor::InterceptedService;
use tonic::transport::Channel;

/// Largest message that a containerd sends or takes.
const MESSAGE_LIMIT_BYTES: usize = 16 << 20;
const NAMESPACE_HEADER: &str = "containerd-namespace";

/// Puts the namespace on every call.
#[derive(Clone)]
pub struct InNamespace(MetadataValue<Ascii>);

impl tonic::service::Interceptor for InNamespace {
    fn call(
        &mut self,
        mut request: tonic::Request<()>,
    ) -> std::result::Result<tonic::Request<()>, tonic::Status> {
        request.metadata_mut().insert(NAMESPACE_HEADER, self.0.clone());
        Ok(request)
    }
}

/// A channel that adds the namespace.
pub type Namespaced = InterceptedService<Channel, InNamespace>;

/// A connection that makes itself again whenever the other side comes back.
#[derive(Clone)]
pub struct Supervisor {
    channel: Channel,
    namespace: InNamespace,
    address: PathBuf,
    /// Name of the snapshotter that containers live on.
    pub snapshotter: String,
}

macro_rules! clients {
    ($($name:ident: $client:ident),* $(,)?) => {
        impl Supervisor {
            $(
                #[doc = concat!("The service behind [`", stringify!($client), "`].")]
                pub fn $name(&self) -> $client<Namespaced> {
                    $client::new(InterceptedService::new(self.channel.clone(), self.namespace.clone()))
                        .max_decoding_message_size(MESSAGE_LIMIT_BYTES)
                        .max_encoding_message_size(MESSAGE_LIMIT_BYTES)
                }
            )*
        }
    };
}

clients! {
    containers: ContainersClient,
    content: ContentClient,
    diff: DiffClient,
    events: EventsClient,
    images: ImagesClient,
    leases: LeasesClient,
    snapshots: SnapshotsClient,
    streaming: StreamingClient,
    tasks: TasksClient,
    transfer: TransferClient,
    version: VersionClient,
}

impl Supervisor {
    /// Names the server; nothing is sent yet.
    ///
    /// # Errors
    /// The namespace is no header value.
    pub fn at(address: &Path, namespace: &str) -> Result<Supervisor> {
        let namespace = MetadataValue::try_from(namespace)
            .map_err(|_| Error::invalid_argument(format!("invalid containerd namespace {namespace:?}")))?;
        Ok(Supervisor {
            channel: connect::lazily(address),
            namespace: InNamespace(namespace),
            address: address.to_owned(),
            snapshotter: "overlayfs".to_owned(),
        })
    }

    /// The server's socket.
    pub fn address(&self) -> &Path {
        &self.address
    }

    /// Name and version of the server.
    ///
    /// # Errors
    /// It does not answer.
    pub async fn hello(&self) -> Result<(String, String)> {
        let answer = self
            .version()
            .version(())
            .await
            .map_err(failed("ask the version of the supervisor"))?
            .into_inner();
        Ok((answer.version, answer.revision))
    }
}

/// Says what was tried when a call fails; the kind of failure stays.
pub fn failed(action: impl Into<String>) -> impl FnOnce(tonic::Status) -> Error {
    let action = action.into();
    move |status| {
        let cause = Error::from(status);
        Error::new(cause.kind(), format!("cannot {action}")).with_source(cause)
    }
}

/// Turns "not there" into `None`.
///
/// # Errors
/// Every other failure.
pub fn optional<T>(
    answer: std::result::Result<tonic::Response<T>, tonic::Status>,
    action: &str,
) -> Result<Option<T>> {
    match answer {
        Ok(answer) => Ok(Some(answer.into_inner())),
        Err(status) if status.code() == tonic::Code::NotFound => Ok(None),
        Err(status) => Err(failed(action)(status)),
    }
}
