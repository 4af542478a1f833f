//! `containerd.services.sandbox.v1`: the records of sandboxes, and the controller that runs them.

use super::context::namespace_of;
use super::records::{Answer, blocking, namespace_in, required};
use crate::sandboxes::Sandboxes;
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

/// The controllers: `shim`, whose sandboxes are run by shims. Kubernetes' `podsandbox` comes with its interface.
pub struct SandboxControllerService {
    /// Where the records are.
    pub records: Db,
    /// What runs.
    pub sandboxes: Sandboxes,
}

/// The name of the controller that is here.
const SHIM: &str = "shim";

/// Refuses a controller that is not here.
fn check(sandboxer: &str) -> Result<(), Error> {
    match sandboxer {
        SHIM => Ok(()),
        "" => Err(Error::invalid_argument("sandbox controller name can not be empty")),
        name => Err(Error::not_found(format!("failed to get sandbox controller by {name}"))),
    }
}

/// The namespace of a request to a controller that is here, and its message.
macro_rules! asked {
    ($request:ident) => {{
        check(&$request.get_ref().sandboxer)?;
        namespace_of($request)?
    }};
}

#[async_trait]
impl controller_server::Controller for SandboxControllerService {
    async fn create(&self, request: Request<ControllerCreateRequest>) -> Answer<ControllerCreateResponse> {
        let (namespace, mut request) = asked!(request);
        let sandbox = match request.sandbox.take() {
            Some(sandbox) => sandbox,
            // Clients of containerd 1.7 name it alone; its record is in the store.
            None => self.records.namespace(&namespace)?.sandboxes().get(&request.sandbox_id)?,
        };
        let sandbox_id = sandbox.sandbox_id.clone();
        self.sandboxes.create(&namespace, sandbox, request).await?;
        Ok(Response::new(ControllerCreateResponse { sandbox_id }))
    }

    async fn start(&self, request: Request<ControllerStartRequest>) -> Answer<ControllerStartResponse> {
        let (namespace, request) = asked!(request);
        Ok(Response::new(self.sandboxes.start(&namespace, &request.sandbox_id).await?))
    }

    async fn platform(
        &self,
        request: Request<ControllerPlatformRequest>,
    ) -> Answer<ControllerPlatformResponse> {
        let (namespace, request) = asked!(request);
        Ok(Response::new(self.sandboxes.platform(&namespace, &request.sandbox_id).await?))
    }

    async fn stop(&self, request: Request<ControllerStopRequest>) -> Answer<ControllerStopResponse> {
        let (namespace, request) = asked!(request);
        self.sandboxes.stop(&namespace, &request.sandbox_id, request.timeout_secs).await?;
        Ok(Response::new(ControllerStopResponse {}))
    }

    async fn wait(&self, request: Request<ControllerWaitRequest>) -> Answer<ControllerWaitResponse> {
        let (namespace, request) = asked!(request);
        Ok(Response::new(self.sandboxes.wait(&namespace, &request.sandbox_id).await?))
    }

    async fn status(&self, request: Request<ControllerStatusRequest>) -> Answer<ControllerStatusResponse> {
        let (namespace, request) = asked!(request);
        Ok(Response::new(self.sandboxes.status(&namespace, &request.sandbox_id, request.verbose).await?))
    }

    async fn shutdown(
        &self,
        request: Request<ControllerShutdownRequest>,
    ) -> Answer<ControllerShutdownResponse> {
        let (namespace, request) = asked!(request);
        self.sandboxes.shutdown(&namespace, &request.sandbox_id).await?;
        Ok(Response::new(ControllerShutdownResponse {}))
    }

    async fn metrics(&self, request: Request<ControllerMetricsRequest>) -> Answer<ControllerMetricsResponse> {
        let (namespace, request) = asked!(request);
        Ok(Response::new(self.sandboxes.metrics(&namespace, &request.sandbox_id).await?))
    }

    /// The shim API has no place for an update; containerd's own controller passes it over as well.
    async fn update(&self, request: Request<ControllerUpdateRequest>) -> Answer<ControllerUpdateResponse> {
        let (_, request) = asked!(request);
        required(request.sandbox, "sandbox")?;
        Ok(Response::new(ControllerUpdateResponse {}))
    }
}
