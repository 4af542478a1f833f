//! `containerd.services.version.v1.Version`.

use containerd_api::services::version::v1::VersionResponse;
use containerd_api::services::version::v1::version_server::Version;
use tonic::{Request, Response, Status, async_trait};

/// The containerd API level that clients find here: nerdctl and others decide by it what they may call.
pub const API_LEVEL: &str = "v2.2.0";

/// The service.
pub struct VersionService;

#[async_trait]
impl Version for VersionService {
    async fn version(&self, _: Request<()>) -> Result<Response<VersionResponse>, Status> {
        let revision = concat!("wherry-", env!("CARGO_PKG_VERSION"));
        Ok(Response::new(VersionResponse { version: API_LEVEL.to_owned(), revision: revision.to_owned() }))
    }
}
