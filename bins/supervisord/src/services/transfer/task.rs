//! Work on the side of a transfer.

use std::future::Future;

use errdefs::{Error, Result};
use tokio::task::JoinHandle;

/// A task that ends with its owner.
pub struct Task<T = ()>(JoinHandle<Result<T>>);

impl<T: Send + 'static> Task<T> {
    /// Starts it.
    pub fn start(work: impl Future<Output = Result<T>> + Send + 'static) -> Task<T> {
        Task(tokio::spawn(work))
    }

    /// Waits for its end.
    pub async fn finish(mut self) -> Result<T> {
        (&mut self.0)
            .await
            .map_err(|cause| Error::internal("cannot finish the transfer").with_source(cause))?
    }
}

impl<T> Drop for Task<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}
