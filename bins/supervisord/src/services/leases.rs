//! `containerd.services.leases.v1.Leases`.

use super::records::{Answer, blocking, namespace_in, required};
use super::streaming::Streams;
use containerd_api::services::leases::v1::leases_server;
use containerd_api::services::leases::v1::*;
use metadata::Db;
use tonic::{Request, Response, async_trait};

/// The service.
pub struct LeasesService {
    /// Where the records are.
    pub records: Db,
    /// Streams that wait may be held by leases, too.
    pub streams: Streams,
}

#[async_trait]
impl leases_server::Leases for LeasesService {
    async fn create(&self, request: Request<CreateRequest>) -> Answer<CreateResponse> {
        let leases = namespace_in(&self.records, &request)?.leases();
        let CreateRequest { id, labels } = request.into_inner();
        let lease = blocking(move || leases.create(&id, labels)).await?;
        Ok(Response::new(CreateResponse { lease: Some(lease) }))
    }

    async fn delete(&self, request: Request<DeleteRequest>) -> Answer<()> {
        let namespace = namespace_in(&self.records, &request)?;
        let DeleteRequest { id, sync } = request.into_inner();
        let (leases, lease) = (namespace.leases(), id.clone());
        blocking(move || leases.delete(&id, sync)).await?;
        self.streams.release(namespace.name(), &lease);
        Ok(Response::new(()))
    }

    async fn list(&self, request: Request<ListRequest>) -> Answer<ListResponse> {
        let leases = namespace_in(&self.records, &request)?.leases().list(&request.get_ref().filters)?;
        Ok(Response::new(ListResponse { leases }))
    }

    async fn add_resource(&self, request: Request<AddResourceRequest>) -> Answer<()> {
        let leases = namespace_in(&self.records, &request)?.leases();
        let AddResourceRequest { id, resource } = request.into_inner();
        let resource = required(resource, "resource")?;
        blocking(move || leases.add_resource(&id, &resource)).await.map(Response::new)
    }

    async fn delete_resource(&self, request: Request<DeleteResourceRequest>) -> Answer<()> {
        let leases = namespace_in(&self.records, &request)?.leases();
        let DeleteResourceRequest { id, resource } = request.into_inner();
        let resource = required(resource, "resource")?;
        blocking(move || leases.delete_resource(&id, &resource)).await.map(Response::new)
    }

    async fn list_resources(&self, request: Request<ListResourcesRequest>) -> Answer<ListResourcesResponse> {
        let resources = namespace_in(&self.records, &request)?.leases().resources(&request.get_ref().id)?;
        Ok(Response::new(ListResourcesResponse { resources }))
    }
}
