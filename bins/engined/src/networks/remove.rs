//! Taking networks away.

use std::sync::Arc;

use engine_api::network::NetworksPruned;
use errdefs::{Error, Result};

use super::told;
use crate::engine::Engine;
use crate::filters::Filters;
use crate::time::Time;

/// The filters of a prune.
pub const PRUNE_FILTERS: [&str; 3] = ["label", "label!", "until"];

/// Removes a network that nobody is connected to.
///
/// # Errors
/// It is predefined, in use, or not there.
pub async fn remove(engine: &Arc<Engine>, typed: &str) -> Result<()> {
    let (name, known) = engine.networks.table.find(typed)?;
    let Some(bridge) = known.bridge.filter(|_| known.wish.is_some()) else {
        return Err(Error::permission_denied(format!(
            "{name} is a pre-defined network and cannot be removed"
        )));
    };
    if is_used(engine, &name) {
        return Err(Error::permission_denied(format!(
            "error while removing network: network {name} id {} has active endpoints",
            known.id
        )));
    }
    let removing = {
        let (engine, name) = (engine.clone(), name.clone());
        move || {
            let _making = engine.networks.making.lock().expect("no panic while held");
            engine.networks.stack.remove_bridge(&bridge.name).map_err(told).and_then(|()| {
                super::tell(&engine, &name, "destroy", None);
                engine.networks.table.remove(&name)
            })
        }
    };
    tokio::task::spawn_blocking(removing)
        .await
        .map_err(|cause| Error::internal("cannot remove a network").with_source(cause))?
}

/// Somebody is on the network.
pub fn is_used(engine: &Engine, name: &str) -> bool {
    engine.containers.all().iter().any(|container| container.record().endpoints.contains_key(name))
}

/// `POST /networks/prune`.
///
/// # Errors
/// A filter's value is malformed.
pub async fn prune(engine: &Arc<Engine>, filters: &Filters) -> Result<NetworksPruned> {
    let mut removed = Vec::new();
    for (name, known) in engine.networks.table.all() {
        let Some(wish) = &known.wish else { continue };
        let labels = wish.labels.clone().unwrap_or_default();
        let is_wanted = filters.labels("label", &labels)
            && filters.without_labels(&labels)
            && filters
                .accepts("until", |text| Time::before_now(text).is_none_or(|until| known.created < until));
        let is_named =
            engine.containers.all().iter().any(|other| other.record().networks.contains_key(&name));
        if is_wanted && !is_named && remove(engine, &name).await.is_ok() {
            removed.push(name);
        }
    }
    Ok(NetworksPruned { networks_deleted: (!removed.is_empty()).then_some(removed) })
}
