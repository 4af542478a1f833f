//! `publish`: how shims without ttrpc publish an event; they start this program for each.

use containerd_api::services::events::v1::PublishRequest;
use containerd_api::services::events::v1::events_client::EventsClient;
use containerd_api::{Any, Dial};
use errdefs::{Error, Result};
use prost::Message;
use std::io::Read;
use std::path::Path;
use std::time::Duration;
use tonic::Request;
use tonic::transport::Endpoint;

/// How long the daemon may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// Publishes the `Any` on standard input under `topic`, at the daemon on `address`.
pub fn publish(address: &Path, namespace: &str, topic: &str) -> Result<()> {
    let failed = |what: &str| Error::unknown(format!("cannot {what}"));
    let mut input = Vec::new();
    std::io::stdin().read_to_end(&mut input).map_err(|cause| failed("read the event").with_source(cause))?;
    let event = Any::decode(input.as_slice())
        .map_err(|cause| Error::invalid_argument("cannot decode the event").with_source(cause))?;
    let namespace = namespace.parse().map_err(|_| Error::invalid_argument("cannot use this namespace"))?;
    let mut request = Request::new(PublishRequest { topic: topic.to_owned(), event: Some(event) });
    request.metadata_mut().insert("containerd-namespace", namespace);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|cause| failed("start").with_source(cause))?;
    runtime.block_on(async {
        let endpoint = Endpoint::from_static("http://supervisord").timeout(PATIENCE);
        let channel = endpoint.connect_with_connector(Dial(address.to_owned())).await.map_err(|cause| {
            Error::unavailable(format!("cannot connect to {}", address.display())).with_source(cause)
        })?;
        EventsClient::new(channel).publish(request).await?;
        Ok(())
    })
}
