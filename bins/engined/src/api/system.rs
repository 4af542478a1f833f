//! Ping, version, info, events, df.

use engine_api::event::Event;
use engine_api::system::CachePruned;
use errdefs::Error;
use http::{HeaderValue, StatusCode, header};
use tokio::sync::mpsc;

use super::accept;
use super::call::{Answer, Call, empty, json, pieces};
use crate::events;
use crate::system::{self, versions};
use crate::time::Time;

pub async fn ping(_: Call) -> Answer {
    let mut answer = http::Response::new(super::body::Body::from(b"OK".to_vec()));
    let headers = answer.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache, no-store, must-revalidate"));
    headers.insert(header::PRAGMA, HeaderValue::from_static("no-cache"));
    headers.insert("builder-version", HeaderValue::from_static("1"));
    headers.insert("swarm", HeaderValue::from_static("inactive"));
    Ok(answer)
}

pub async fn version(call: Call) -> Answer {
    json(&system::version::version(&call.engine).await)
}

pub async fn info(call: Call) -> Answer {
    json(&versions::info(call.version, system::info::info(&call.engine).await)?)
}

pub async fn df(call: Call) -> Answer {
    let kinds = if versions::has_kinds_of_usage(call.version) { call.query.all("type") } else { Vec::new() };
    let usage = system::df::look(&call.engine, &kinds).await?;
    json(&versions::usage(call.version, call.query.is("verbose"), usage)?)
}

/// There are none; clients ask.
pub async fn plugins(_: Call) -> Answer {
    json(&[(); 0])
}

/// There is no cache; `system prune` asks.
pub async fn build_prune(_: Call) -> Answer {
    json(&CachePruned { caches_deleted: Some(Vec::new()), space_reclaimed: 0 })
}

pub async fn events(call: Call) -> Answer {
    let filters = call.filters(&events::FILTERS)?;
    let (since, until) = (call.query.time("since")?, call.query.time("until")?);
    // Here, other than in logs, the beginning of time is a time.
    let since = since.or_else(|| (call.query.text("since") == "0").then_some(Time(0)));
    if let (Some(from), Some(to)) = (since, until)
        && to < from
    {
        let [from, to] = ["since", "until"].map(|name| call.query.text(name));
        return Err(Error::invalid_argument(format!(
            "`since` time ({from}) cannot be after `until` time ({to})"
        )));
    }
    let kind = accept::stream_of_json(&call.headers).unwrap_or(versions::type_of_events(call.version));
    let version = call.version;
    let (past, mut live) = call.engine.events.listen();
    let (send, receive) = mpsc::channel(64);
    tokio::spawn(async move {
        let passes = |event: &Event| {
            events::matches(&filters, event)
                && until.is_none_or(|until| event.time_nano <= until.0)
                && versions::event(version, event).is_some()
        };
        let line = |event: &Event| {
            let shown = versions::event(version, event);
            Ok(accept::line(kind, &serde_json::to_vec(&shown).unwrap_or_default()))
        };
        // Without `since` nothing is told again.
        let told = past
            .iter()
            .filter(|event| since.is_some_and(|since| event.time_nano >= since.0) && passes(event));
        for event in told {
            if send.send(line(event)).await.is_err() {
                return;
            }
        }
        let left = until
            .map(|until| std::time::Duration::from_nanos((until.0 - Time::now().0).max(0).unsigned_abs()));
        let end = async {
            match left {
                Some(left) => tokio::time::sleep(left).await,
                None => std::future::pending().await,
            }
        };
        tokio::pin!(end);
        loop {
            let event = tokio::select! {
                event = live.recv() => event,
                () = &mut end => return,
                () = send.closed() => return,
            };
            match event {
                Ok(event) if passes(&event) && send.send(line(&event)).await.is_err() => return,
                Err(tokio::sync::broadcast::error::RecvError::Closed) => return,
                _ => {}
            }
        }
    });
    pieces(kind, receive)
}

/// Used by handlers whose success has nothing to say.
pub fn done() -> Answer {
    empty(StatusCode::NO_CONTENT)
}
