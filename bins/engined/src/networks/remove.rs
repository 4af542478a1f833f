//! Taking networks away.

use std::sync::Arc;

use engine_api::network::NetworksPruned;
use errdefs::{Error, Result};

use super::create::config_from;
use super::told;
use crate::containers::Container;
use crate::engine::Engine;
use crate::filters::Filters;
use crate::identity;

/// The filters of a prune.
pub const PRUNE_FILTERS: [&str; 3] = ["label", "label!", "until"];

/// Removes a network that nobody is connected to.
///
/// # Errors
/// It is predefined, in use, or not there.
pub async fn remove(engine: &Arc<Engine>, typed: &str) -> Result<()> {
    let (name, known) = engine.networks.table.find(typed)?;
    if !known.is_custom() {
        return Err(Error::permission_denied(format!(
            "{name} is a pre-defined network and cannot be removed"
        )));
    }
    let users = users(engine, &name);
    if !users.is_empty() {
        return Err(Error::permission_denied(format!(
            "error while removing network: network {name} has active endpoints ({})",
            users.join(", ")
        )));
    }
    if known.is_config_only() && is_depended_on(engine, &name) {
        return Err(Error::permission_denied(format!(
            "error while removing network: configuration network {name:?} is in use"
        )));
    }
    let removing = {
        let (engine, name) = (engine.clone(), name.clone());
        move || {
            let _making = engine.networks.making.lock().expect("no panic while held");
            if let Some(bridge) = &known.bridge {
                engine.networks.stack.remove_bridge(&bridge.name).map_err(told)?;
            }
            super::tell(&engine, &name, "destroy", None);
            engine.networks.table.remove(&name)
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

/// Who is on the network, in the words of an error.
fn users(engine: &Engine, name: &str) -> Vec<String> {
    let shown = |container: &Arc<Container>| {
        let record = container.record();
        let endpoint = record.endpoints.get(name)?;
        Some(format!("name:\"{}\" id:\"{}\"", record.name, identity::short(&endpoint.id)))
    };
    engine.containers.all().iter().filter_map(shown).collect()
}

/// Another network was made by this one.
fn is_depended_on(engine: &Engine, name: &str) -> bool {
    let all = engine.networks.table.all();
    all.values().filter_map(|known| known.wish.as_ref()).any(|wish| config_from(wish) == name)
}

/// `POST /networks/prune`.
///
/// # Errors
/// A filter's value is malformed.
pub async fn prune(engine: &Arc<Engine>, filters: &Filters) -> Result<NetworksPruned> {
    let until = filters.moment("until")?;
    let mut removed = Vec::new();
    for (name, known) in engine.networks.table.all() {
        let Some(wish) = &known.wish else { continue };
        let labels = wish.labels.clone().unwrap_or_default();
        let is_wanted = filters.labels("label", &labels)
            && filters.without_labels(&labels)
            && until.is_none_or(|until| known.created < until);
        let is_named =
            engine.containers.all().iter().any(|other| other.record().networks.contains_key(&name));
        let is_named = is_named || is_depended_on(engine, &name);
        if is_wanted && !is_named && remove(engine, &name).await.is_ok() {
            removed.push(name);
        }
    }
    engine.tell_pruned("network", 0);
    Ok(NetworksPruned { networks_deleted: (!removed.is_empty()).then_some(removed) })
}
