//! Ping, version, info, events, df.

use bytes::Bytes;
use engine_api::system::CachePruned;
use http::{HeaderValue, StatusCode, header};
use tokio::sync::mpsc;

use super::call::{Answer, Call, empty, json, pieces};
use crate::events;
use crate::system;
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
    json(&system::info::info(&call.engine).await)
}

pub async fn df(call: Call) -> Answer {
    json(&system::df::usage(&call.engine, &call.query.all("type")).await?)
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
    let (past, mut live) = call.engine.events.listen();
    let (send, receive) = mpsc::channel(64);
    tokio::spawn(async move {
        let passes = |event: &engine_api::event::Event| {
            events::matches(&filters, event) && until.is_none_or(|until| event.time_nano <= until.0)
        };
        let line = |event: &engine_api::event::Event| {
            let mut line = serde_json::to_vec(event).unwrap_or_default();
            line.push(b'\n');
            Ok(Bytes::from(line))
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
    pieces("application/json", receive)
}

/// Used by handlers whose success has nothing to say.
pub fn done() -> Answer {
    empty(StatusCode::NO_CONTENT)
}
