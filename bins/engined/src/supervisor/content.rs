//! Blobs by digest.

use containerd_api::services::content::v1::{InfoRequest, ReadContentRequest};
use errdefs::{Error, Result};
use serde::de::DeserializeOwned;
use tokio_stream::StreamExt;

use super::{Supervisor, failed};

/// Manifests and configs are never larger.
const DOCUMENT_LIMIT_BYTES: usize = 8 << 20;

impl Supervisor {
    /// A whole small blob.
    ///
    /// # Errors
    /// It is not there, or larger than any manifest.
    pub async fn read_blob(&self, digest: &str) -> Result<Vec<u8>> {
        let request = ReadContentRequest { digest: digest.to_owned(), offset: 0, size: 0 };
        let action = format!("read content {digest}");
        let mut chunks = self.content().read(request).await.map_err(failed(&action))?.into_inner();
        let mut blob = Vec::new();
        while let Some(chunk) = chunks.next().await {
            blob.extend_from_slice(&chunk.map_err(failed(&action))?.data);
            if blob.len() > DOCUMENT_LIMIT_BYTES {
                return Err(Error::invalid_argument(format!(
                    "cannot {action}: it is larger than {DOCUMENT_LIMIT_BYTES} bytes"
                )));
            }
        }
        Ok(blob)
    }

    /// A JSON blob.
    ///
    /// # Errors
    /// As [`Supervisor::read_blob`], or it is not such JSON.
    pub async fn read_json<T: DeserializeOwned>(&self, digest: &str) -> Result<T> {
        let blob = self.read_blob(digest).await?;
        serde_json::from_slice(&blob).map_err(|cause| {
            Error::new(errdefs::Kind::DataLoss, format!("cannot read content {digest}")).with_source(cause)
        })
    }

    /// Whether a blob is in the store.
    ///
    /// # Errors
    /// The store does not answer.
    pub async fn has_blob(&self, digest: &str) -> Result<bool> {
        let answer = self.content().info(InfoRequest { digest: digest.to_owned() }).await;
        Ok(super::optional(answer, "ask for content")?.is_some())
    }
}
