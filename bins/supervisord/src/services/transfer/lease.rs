//! A transfer's hold on what it brings.

use std::collections::HashMap;

use errdefs::Result;
use metadata::Namespace;

use super::blocking;

/// After a crash the hold ends by itself.
const LIFETIME: jiff::SignedDuration = jiff::SignedDuration::from_hours(24);

/// The lease that a transfer made for itself, if the request brought none.
pub struct Lease(Option<(Namespace, String)>);

/// The namespace under the request's lease, or under one of our own.
pub async fn hold(namespace: Namespace) -> Result<(Namespace, Lease)> {
    if namespace.lease().is_some() {
        return Ok((namespace, Lease(None)));
    }
    let ends = (jiff::Timestamp::now() + LIFETIME).to_string();
    let made = namespace.clone();
    let id = blocking(move || {
        let labels = HashMap::from([("containerd.io/gc.expire".to_owned(), ends)]);
        Ok(made.leases().create(&super::unique("transfer"), labels)?.id)
    })
    .await?;
    Ok((namespace.with_lease(&id), Lease(Some((namespace, id)))))
}

impl Lease {
    /// Lets go.
    pub async fn end(mut self) {
        if let Some((namespace, id)) = self.0.take() {
            // It may have expired; then it is gone as wanted.
            let _ = blocking(move || namespace.leases().delete(&id, false)).await;
        }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        // The client left in the middle.
        if let Some((namespace, id)) = self.0.take() {
            tokio::task::spawn_blocking(move || namespace.leases().delete(&id, false));
        }
    }
}
