//! Handlers of execs.

use engine_api::exec::{ExecCreate, ExecStart};
use http::StatusCode;

use super::call::{Answer, Call, empty, json, json_with};
use crate::containers::versions;
use crate::exec::{self, Client};

pub async fn create(mut call: Call) -> Answer {
    let mut wish: ExecCreate = call.json().await?;
    versions::exec(call.version, &mut wish);
    json_with(StatusCode::CREATED, &exec::create(&call.engine, &call.container()?, wish).await?)
}

pub async fn inspect(call: Call) -> Answer {
    json(&exec::inspect(&call.engine, call.name())?)
}

pub async fn resize(call: Call) -> Answer {
    let (height, width) = (call.query.side("h", "height")?, call.query.side("w", "width")?);
    exec::resize(&call.engine, call.name(), height, width).await?;
    empty(StatusCode::OK)
}

pub async fn start(mut call: Call) -> Answer {
    let mut wish: ExecStart = call.json().await?;
    versions::exec_start(call.version, &mut wish);
    let found = call.engine.execs.find(call.name())?;
    if wish.detach {
        exec::start(&call.engine, &found, Client::None, None).await?;
        return empty(StatusCode::OK);
    }
    if found.state.borrow().is_started {
        return Err(found.has_started());
    }
    let engine = call.engine.clone();
    let is_framed = !wish.tty;
    let is_raw = !is_framed || !versions::is_stream_named(call.version);
    let is_upgrade = call.is_upgrade();
    call.take_over
        .take(is_upgrade, is_raw || !is_upgrade, move |stream| async move {
            if let Err(error) =
                exec::start(&engine, &found, Client::Attached { stream, is_framed }, wish.console_size).await
            {
                tracing::warn!(exec = found.id, error = %error.chain(), "cannot serve an exec");
            }
        })
        .await
}
