//! The records as a request sees them: its namespace, its lease.

use super::context;
use errdefs::{Error, Result as Outcome};
use metadata::{Db, Namespace};
use tonic::{Request, Response, Status};

/// The header that names the lease.
const LEASE: &str = "containerd-lease";

/// What a method answers.
pub type Answer<T> = Result<Response<T>, Status>;

/// The namespace of a request, under the lease that its header names.
pub fn namespace_in<T>(db: &Db, request: &Request<T>) -> Result<Namespace, Status> {
    let name = context::namespace(request)?;
    let lease = request.metadata().get(LEASE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    Ok(db.namespace(&name)?.with_lease(lease))
}

/// Runs what may wait for the disk where it holds up nobody else.
pub async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Outcome<T> + Send + 'static,
) -> Result<T, Status> {
    match tokio::task::spawn_blocking(work).await {
        Ok(outcome) => Ok(outcome?),
        Err(cause) => Err(Error::internal("cannot finish the call").with_source(cause).into()),
    }
}

/// What a request must carry.
pub fn required<T>(value: Option<T>, what: &str) -> Outcome<T> {
    value.ok_or_else(|| Error::invalid_argument(format!("{what} must be set")))
}

/// The paths of an update's mask.
pub fn paths(mask: Option<containerd_api::FieldMask>) -> Vec<String> {
    mask.map(|mask| mask.paths).unwrap_or_default()
}
