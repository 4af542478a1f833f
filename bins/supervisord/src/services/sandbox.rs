//! `containerd.services.sandbox.v1`: the records of sandboxes, and the controllers that would run them.

use super::records::{Answer, blocking, namespace_in, required};
use containerd_api::services::sandbox::v1::{controller_server, store_server, *};
use errdefs::Error;
use metadata::Db;
use tonic::{Request, Response, async_trait};

/// The store.
pub struct SandboxStoreService(pub Db);

#[async_trait]
impl store_server::Store for SandboxStoreService {
    async fn create(&self, request: Request<StoreCreateRequest>) -> Answer<StoreCreateResponse> {
        let sandboxes = namespace_in(&self.0, &request)?.sandboxes();
        let sandbox = required(request.into_inner().sandbox, "sandbox")?;
        let created = blocking(move || sandboxes.create(sandbox)).await?;
        Ok(Response::new(StoreCreateResponse { sandbox: Some(created) }))
    }

    async fn update(&self, request: Request<StoreUpdateRequest>) -> Answer<StoreUpdateResponse> {
        let sandboxes = namespace_in(&self.0, &request)?.sandboxes();
        let StoreUpdateRequest { sandbox, fields } = request.into_inner();
        let sandbox = required(sandbox, "sandbox")?;
        let updated = blocking(move || sandboxes.update(sandbox, &fields)).await?;
        Ok(Response::new(StoreUpdateResponse { sandbox: Some(updated) }))
    }

    async fn delete(&self, request: Request<StoreDeleteRequest>) -> Answer<StoreDeleteResponse> {
        let sandboxes = namespace_in(&self.0, &request)?.sandboxes();
        let id = request.into_inner().sandbox_id;
        blocking(move || sandboxes.delete(&id)).await?;
        Ok(Response::new(StoreDeleteResponse {}))
    }

    async fn list(&self, request: Request<StoreListRequest>) -> Answer<StoreListResponse> {
        let list = namespace_in(&self.0, &request)?.sandboxes().list(&request.get_ref().filters)?;
        Ok(Response::new(StoreListResponse { list }))
    }

    async fn get(&self, request: Request<StoreGetRequest>) -> Answer<StoreGetResponse> {
        let sandbox = namespace_in(&self.0, &request)?.sandboxes().get(&request.get_ref().sandbox_id)?;
        Ok(Response::new(StoreGetResponse { sandbox: Some(sandbox) }))
    }
}

/// Sandboxes that shims run by themselves, and those that Kubernetes' interface makes, come with that
/// interface; until then every controller is one that is not here.
pub struct SandboxControllerService;

fn absent<T>(sandboxer: &str) -> Answer<T> {
    Err(match sandboxer {
        "" => Error::invalid_argument("sandbox controller name can not be empty"),
        name => Error::not_found(format!("failed to get sandbox controller by {name}")),
    }
    .into())
}

#[async_trait]
impl controller_server::Controller for SandboxControllerService {
    async fn create(&self, request: Request<ControllerCreateRequest>) -> Answer<ControllerCreateResponse> {
        absent(&request.get_ref().sandboxer)
    }

    async fn start(&self, request: Request<ControllerStartRequest>) -> Answer<ControllerStartResponse> {
        absent(&request.get_ref().sandboxer)
    }

    async fn platform(
        &self,
        request: Request<ControllerPlatformRequest>,
    ) -> Answer<ControllerPlatformResponse> {
        absent(&request.get_ref().sandboxer)
    }

    async fn stop(&self, request: Request<ControllerStopRequest>) -> Answer<ControllerStopResponse> {
        absent(&request.get_ref().sandboxer)
    }

    async fn wait(&self, request: Request<ControllerWaitRequest>) -> Answer<ControllerWaitResponse> {
        absent(&request.get_ref().sandboxer)
    }

    async fn status(&self, request: Request<ControllerStatusRequest>) -> Answer<ControllerStatusResponse> {
        absent(&request.get_ref().sandboxer)
    }

    async fn shutdown(
        &self,
        request: Request<ControllerShutdownRequest>,
    ) -> Answer<ControllerShutdownResponse> {
        absent(&request.get_ref().sandboxer)
    }

    async fn metrics(&self, request: Request<ControllerMetricsRequest>) -> Answer<ControllerMetricsResponse> {
        absent(&request.get_ref().sandboxer)
    }

    async fn update(&self, request: Request<ControllerUpdateRequest>) -> Answer<ControllerUpdateResponse> {
        absent(&request.get_ref().sandboxer)
    }
}
