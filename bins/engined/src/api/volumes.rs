//! Handlers of volumes.

use engine_api::volume::VolumeCreate;
use http::StatusCode;

use super::call::{Answer, Call, json, json_with};
use super::system::done;
use super::versions::Version;
use crate::volumes;

/// From this version on, a prune leaves named volumes alone unless told otherwise.
const PRUNE_KEEPS_NAMED: Version = Version(1, 42);

pub async fn list(call: Call) -> Answer {
    json(&volumes::list(&call.engine, &call.filters(&volumes::FILTERS)?)?)
}

pub async fn create(mut call: Call) -> Answer {
    let wish: VolumeCreate = call.json().await?;
    json_with(StatusCode::CREATED, &volumes::create(&call.engine, &wish).await?)
}

pub async fn inspect(call: Call) -> Answer {
    json(&volumes::inspect(&call.engine, call.name()).await?)
}

pub async fn remove(call: Call) -> Answer {
    volumes::remove(&call.engine, call.name(), call.query.is("force")).await?;
    done()
}

pub async fn prune(call: Call) -> Answer {
    let with_named = call.version < PRUNE_KEEPS_NAMED;
    json(&volumes::prune(&call.engine, &call.filters(&volumes::PRUNE_FILTERS)?, with_named).await?)
}
