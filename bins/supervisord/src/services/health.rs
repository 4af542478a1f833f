//! `grpc.health.v1.Health`: whoever is answered is served.

use containerd_api::grpc::health::v1::health_check_response::ServingStatus;
use containerd_api::grpc::health::v1::health_server::Health;
use containerd_api::grpc::health::v1::{HealthCheckRequest, HealthCheckResponse};
use std::pin::Pin;
use tokio_stream::Stream;
use tonic::{Request, Response, Status, async_trait};

/// The service.
pub struct HealthService;

fn serving() -> HealthCheckResponse {
    HealthCheckResponse { status: ServingStatus::Serving as i32 }
}

#[async_trait]
impl Health for HealthService {
    type WatchStream = Pin<Box<dyn Stream<Item = Result<HealthCheckResponse, Status>> + Send>>;

    async fn check(&self, _: Request<HealthCheckRequest>) -> Result<Response<HealthCheckResponse>, Status> {
        Ok(Response::new(serving()))
    }

    async fn watch(&self, _: Request<HealthCheckRequest>) -> Result<Response<Self::WatchStream>, Status> {
        use tokio_stream::StreamExt;
        // The answer does not change while the daemon lives; the stream ends with it.
        let stream = tokio_stream::once(Ok(serving())).chain(tokio_stream::pending());
        Ok(Response::new(Box::pin(stream)))
    }
}
