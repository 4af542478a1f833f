//! `containerd.services.namespaces.v1.Namespaces`.

use super::records::{Answer, blocking, paths, required};
use containerd_api::services::namespaces::v1::namespaces_server;
use containerd_api::services::namespaces::v1::*;
use metadata::Db;
use tonic::{Request, Response, async_trait};

/// The service; it needs no namespace header.
pub struct NamespacesService(pub Db);

#[async_trait]
impl namespaces_server::Namespaces for NamespacesService {
    async fn get(&self, request: Request<GetNamespaceRequest>) -> Answer<GetNamespaceResponse> {
        let namespace = self.0.namespaces().get(&request.get_ref().name)?;
        Ok(Response::new(GetNamespaceResponse { namespace: Some(namespace) }))
    }

    /// The filter is a string that no server of this API looks at.
    async fn list(&self, _: Request<ListNamespacesRequest>) -> Answer<ListNamespacesResponse> {
        Ok(Response::new(ListNamespacesResponse { namespaces: self.0.namespaces().list()? }))
    }

    async fn create(&self, request: Request<CreateNamespaceRequest>) -> Answer<CreateNamespaceResponse> {
        let namespaces = self.0.namespaces();
        let namespace = required(request.into_inner().namespace, "namespace")?;
        let created = blocking(move || namespaces.create(namespace)).await?;
        Ok(Response::new(CreateNamespaceResponse { namespace: Some(created) }))
    }

    async fn update(&self, request: Request<UpdateNamespaceRequest>) -> Answer<UpdateNamespaceResponse> {
        let namespaces = self.0.namespaces();
        let UpdateNamespaceRequest { namespace, update_mask } = request.into_inner();
        let namespace = required(namespace, "namespace")?;
        let updated = blocking(move || namespaces.update(namespace, &paths(update_mask))).await?;
        Ok(Response::new(UpdateNamespaceResponse { namespace: Some(updated) }))
    }

    async fn delete(&self, request: Request<DeleteNamespaceRequest>) -> Answer<()> {
        let namespaces = self.0.namespaces();
        let name = request.into_inner().name;
        blocking(move || namespaces.delete(&name)).await.map(Response::new)
    }
}
