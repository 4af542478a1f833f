//! `containerd.services.containers.v1.Containers`.

use super::records::{Answer, blocking, namespace_in, paths, required};
use containerd_api::services::containers::v1::containers_server;
use containerd_api::services::containers::v1::*;
use metadata::Db;
use std::pin::Pin;
use tokio_stream::Stream;
use tonic::{Request, Response, Status, async_trait};

/// The service.
pub struct ContainersService(pub Db);

#[async_trait]
impl containers_server::Containers for ContainersService {
    type ListStreamStream = Pin<Box<dyn Stream<Item = Result<ListContainerMessage, Status>> + Send>>;

    async fn get(&self, request: Request<GetContainerRequest>) -> Answer<GetContainerResponse> {
        let containers = namespace_in(&self.0, &request)?.containers();
        Ok(Response::new(GetContainerResponse { container: Some(containers.get(&request.get_ref().id)?) }))
    }

    async fn list(&self, request: Request<ListContainersRequest>) -> Answer<ListContainersResponse> {
        let containers = namespace_in(&self.0, &request)?.containers().list(&request.get_ref().filters)?;
        Ok(Response::new(ListContainersResponse { containers }))
    }

    async fn list_stream(&self, request: Request<ListContainersRequest>) -> Answer<Self::ListStreamStream> {
        let containers = namespace_in(&self.0, &request)?.containers().list(&request.get_ref().filters)?;
        let messages =
            containers.into_iter().map(|found| Ok(ListContainerMessage { container: Some(found) }));
        Ok(Response::new(Box::pin(tokio_stream::iter(messages))))
    }

    async fn create(&self, request: Request<CreateContainerRequest>) -> Answer<CreateContainerResponse> {
        let containers = namespace_in(&self.0, &request)?.containers();
        let container = required(request.into_inner().container, "container")?;
        let created = blocking(move || containers.create(container)).await?;
        Ok(Response::new(CreateContainerResponse { container: Some(created) }))
    }

    async fn update(&self, request: Request<UpdateContainerRequest>) -> Answer<UpdateContainerResponse> {
        let containers = namespace_in(&self.0, &request)?.containers();
        let UpdateContainerRequest { container, update_mask } = request.into_inner();
        let container = required(container, "container")?;
        let updated = blocking(move || containers.update(container, &paths(update_mask))).await?;
        Ok(Response::new(UpdateContainerResponse { container: Some(updated) }))
    }

    async fn delete(&self, request: Request<DeleteContainerRequest>) -> Answer<()> {
        let containers = namespace_in(&self.0, &request)?.containers();
        let id = request.into_inner().id;
        blocking(move || containers.delete(&id)).await.map(Response::new)
    }
}
