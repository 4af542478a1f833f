//! `containerd.services.events.v1.Events`, and its ttrpc twin that shims call.

use super::context::namespace_of;
use crate::shims::Shims;
use bytes::Bytes;
use containerd_api::services::events::ttrpc::v1::ForwardRequest as ShimForwardRequest;
use containerd_api::services::events::v1::events_server;
use containerd_api::services::events::v1::{ForwardRequest, PublishRequest, SubscribeRequest};
use containerd_api::types::Envelope;
use errdefs::Error;
use events::{Exchange, Lagged};
use std::pin::Pin;
use std::sync::Arc;
use tokio::sync::mpsc;
use tokio_stream::Stream;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status, async_trait};

/// The ttrpc service's name.
pub const SHIM_EVENTS: &str = "containerd.services.events.ttrpc.v1.Events";

/// The service over gRPC.
pub struct EventsService {
    /// What it serves.
    pub exchange: Exchange,
}

#[async_trait]
impl events_server::Events for EventsService {
    type SubscribeStream = Pin<Box<dyn Stream<Item = Result<Envelope, Status>> + Send>>;

    async fn publish(&self, request: Request<PublishRequest>) -> Result<Response<()>, Status> {
        let (namespace, request) = namespace_of(request)?;
        let event = request.event.ok_or_else(|| Error::invalid_argument("event must be set"))?;
        Ok(Response::new(self.exchange.publish(&namespace, &request.topic, event)?))
    }

    async fn forward(&self, request: Request<ForwardRequest>) -> Result<Response<()>, Status> {
        let envelope = request.into_inner().envelope;
        let envelope = envelope.ok_or_else(|| Error::invalid_argument("envelope must be set"))?;
        Ok(Response::new(self.exchange.forward(envelope)?))
    }

    async fn subscribe(
        &self,
        request: Request<SubscribeRequest>,
    ) -> Result<Response<Self::SubscribeStream>, Status> {
        let filter = filters::Filters::parse(&request.into_inner().filters)?;
        let mut subscription = self.exchange.subscribe();
        let (sender, receiver) = mpsc::channel(64);
        tokio::spawn(async move {
            loop {
                let next = tokio::select! {
                    next = subscription.next() => next,
                    () = sender.closed() => break,
                };
                let item = match next {
                    Ok(envelope) if !matches(&filter, &envelope) => continue,
                    Ok(envelope) => Ok(Envelope::clone(&envelope)),
                    Err(Lagged) => Err(Status::resource_exhausted(
                        "events were dropped: this subscriber is too slow; list again and subscribe anew",
                    )),
                };
                let ended = item.is_err();
                if sender.send(item).await.is_err() || ended {
                    break;
                }
            }
        });
        Ok(Response::new(Box::pin(ReceiverStream::new(receiver))))
    }
}

/// Whether a subscriber asked for this event.
fn matches(filter: &filters::Filters, envelope: &Envelope) -> bool {
    filter.matches(&|path: &[&str]| match path {
        ["namespace"] => Some(envelope.namespace.clone()),
        ["topic"] => Some(envelope.topic.clone()),
        ["event", field @ ..] => crate::payload::field(envelope.event.as_ref()?, field),
        _ => None,
    })
}

/// The service over ttrpc, for shims.
pub struct ShimEvents {
    /// Whose events they are.
    pub shims: Shims,
}

impl ttrpc::Service for ShimEvents {
    fn call(&self, _: ttrpc::Context, method: &str, payload: Bytes) -> ttrpc::Reply<'static> {
        if method != "Forward" {
            let status = ttrpc::Server::unknown_method(method);
            return Box::pin(async move { Err(status) });
        }
        let shims = self.shims.clone();
        ttrpc::respond(payload, move |request: ShimForwardRequest| async move {
            let envelope = request.envelope.ok_or_else(|| Error::invalid_argument("envelope must be set"));
            envelope
                .and_then(|envelope| shims.forward(envelope))
                .map_err(|error| ttrpc::Status { code: error.kind().grpc_code(), message: error.wire_text() })
        })
    }
}

/// The ttrpc server of the socket beside the gRPC one.
pub fn shim_server(shims: Shims) -> ttrpc::Server {
    ttrpc::Server::new().service(SHIM_EVENTS, Arc::new(ShimEvents { shims }))
}
