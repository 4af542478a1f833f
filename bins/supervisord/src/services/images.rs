//! `containerd.services.images.v1.Images`.

use super::records::{Answer, blocking, namespace_in, paths, required};
use containerd_api::services::images::v1::images_server;
use containerd_api::services::images::v1::*;
use errdefs::Error;
use metadata::Db;
use tonic::{Request, Response, async_trait};

/// The service.
pub struct ImagesService(pub Db);

#[async_trait]
impl images_server::Images for ImagesService {
    async fn get(&self, request: Request<GetImageRequest>) -> Answer<GetImageResponse> {
        let images = namespace_in(&self.0, &request)?.images();
        Ok(Response::new(GetImageResponse { image: Some(images.get(&request.get_ref().name)?) }))
    }

    async fn list(&self, request: Request<ListImagesRequest>) -> Answer<ListImagesResponse> {
        let images = namespace_in(&self.0, &request)?.images().list(&request.get_ref().filters)?;
        Ok(Response::new(ListImagesResponse { images }))
    }

    async fn create(&self, request: Request<CreateImageRequest>) -> Answer<CreateImageResponse> {
        let images = namespace_in(&self.0, &request)?.images();
        let CreateImageRequest { image, source_date_epoch } = request.into_inner();
        let image = required(image, "image")?;
        let created = blocking(move || images.create(image, source_date_epoch)).await?;
        Ok(Response::new(CreateImageResponse { image: Some(created) }))
    }

    async fn update(&self, request: Request<UpdateImageRequest>) -> Answer<UpdateImageResponse> {
        let images = namespace_in(&self.0, &request)?.images();
        let UpdateImageRequest { image, update_mask, source_date_epoch } = request.into_inner();
        let image = required(image, "image")?;
        if image.name.is_empty() {
            return Err(Error::invalid_argument("Image.Name required").into());
        }
        let updated = blocking(move || images.update(image, &paths(update_mask), source_date_epoch)).await?;
        Ok(Response::new(UpdateImageResponse { image: Some(updated) }))
    }

    async fn delete(&self, request: Request<DeleteImageRequest>) -> Answer<()> {
        let images = namespace_in(&self.0, &request)?.images();
        let DeleteImageRequest { name, sync, target } = request.into_inner();
        blocking(move || images.delete(&name, target.as_ref(), sync)).await.map(Response::new)
    }
}
