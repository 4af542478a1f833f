//! Handlers of networks.

use engine_api::network::{NetworkConnect, NetworkCreate, NetworkDisconnect};
use http::StatusCode;

use super::call::{Answer, Call, empty, json, json_with};
use super::system::done;
use crate::networks::{self, create, live, remove};

pub async fn list(call: Call) -> Answer {
    json(&networks::list(&call.engine, &call.filters(&networks::FILTERS)?)?)
}

pub async fn inspect(call: Call) -> Answer {
    json(&networks::inspect(&call.engine, call.name())?)
}

pub async fn create(mut call: Call) -> Answer {
    let wish: NetworkCreate = call.json().await?;
    json_with(StatusCode::CREATED, &create::create(&call.engine, wish).await?)
}

pub async fn remove(call: Call) -> Answer {
    remove::remove(&call.engine, call.name()).await?;
    done()
}

pub async fn prune(call: Call) -> Answer {
    json(&remove::prune(&call.engine, &call.filters(&remove::PRUNE_FILTERS)?).await?)
}

pub async fn connect(mut call: Call) -> Answer {
    let wish: NetworkConnect = call.json().await?;
    live::connect(&call.engine, call.name(), wish).await?;
    empty(StatusCode::OK)
}

pub async fn disconnect(mut call: Call) -> Answer {
    let wish: NetworkDisconnect = call.json().await?;
    live::disconnect(&call.engine, call.name(), wish).await?;
    empty(StatusCode::OK)
}
