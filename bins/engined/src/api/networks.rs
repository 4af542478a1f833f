//! Handlers of networks: the three that are always there.

use engine_api::network::NetworksPruned;
use errdefs::Error;

use super::call::{Answer, Call, json};
use crate::networks;

const FILTERS: [&str; 8] = ["dangling", "driver", "id", "label", "name", "scope", "type", "idOrName"];

pub async fn list(call: Call) -> Answer {
    let filters = call.filters(&FILTERS)?;
    let dangling = filters.truth("dangling")?;
    let mut all = networks::all(&call.engine, false);
    all.retain(|network| {
        filters.accepts("name", |part| network.name.contains(part))
            && filters.accepts("id", |part| network.id.starts_with(part))
            && filters.accepts("driver", |driver| network.driver == driver)
            && filters.accepts("scope", |scope| network.scope == scope)
            && filters.accepts("type", |kind| kind == "builtin")
            && filters.accepts("label", |_| false)
            && dangling != Some(true)
    });
    json(&all)
}

pub async fn inspect(call: Call) -> Answer {
    json(&networks::find(&call.engine, call.name())?)
}

pub async fn remove(call: Call) -> Answer {
    let network = networks::find(&call.engine, call.name())?;
    Err(Error::permission_denied(format!("{} is a pre-defined network and cannot be removed", network.name)))
}

/// Those that are always there are never removed.
pub async fn prune(_: Call) -> Answer {
    json(&NetworksPruned { networks_deleted: None })
}
