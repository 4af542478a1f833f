//! All routes on one screen, and the way of a request to its handler.

use std::pin::Pin;
use std::sync::Arc;

use errdefs::{Error, Kind};
use http::{HeaderValue, Method, Request, Response};
use hyper::body::Incoming;

use super::authorization::{self, Caller};
use super::body::{Body, RequestBody};
use super::call::{Answer, Call};
use super::hijack::TakeOver;
use super::query::{Query, decode};
use super::rate::TooOften;
use super::versions;
use super::{containers, documented, errors, execs, images, networks, system, volumes};
use crate::engine::Engine;

type Handler = fn(Call) -> Pin<Box<dyn Future<Output = Answer> + Send>>;

macro_rules! routes {
    ($($method:ident $pattern:literal => $handler:path),* $(,)?) => {
        &[$((Method::$method, $pattern, |call| Box::pin($handler(call)))),*]
    };
}

/// `{name}` is one part of the path, `{name*}` one or more.
const ROUTES: &[(Method, &str, Handler)] = routes! {
    GET "/_ping" => system::ping,
    HEAD "/_ping" => system::ping,
    GET "/version" => system::version,
    GET "/info" => system::info,
    GET "/events" => system::events,
    GET "/system/df" => system::df,
    POST "/auth" => images::login,
    GET "/plugins" => system::plugins,
    GET "/containers/json" => containers::list,
    POST "/containers/create" => containers::create,
    POST "/containers/prune" => containers::prune,
    GET "/containers/{id*}/json" => containers::inspect,
    GET "/containers/{id*}/top" => containers::top,
    GET "/containers/{id*}/logs" => containers::logs,
    GET "/containers/{id*}/changes" => containers::changes,
    GET "/containers/{id*}/export" => containers::export,
    GET "/containers/{id*}/stats" => containers::stats,
    POST "/containers/{id*}/resize" => containers::resize,
    POST "/containers/{id*}/start" => containers::start,
    POST "/containers/{id*}/stop" => containers::stop,
    POST "/containers/{id*}/restart" => containers::restart,
    POST "/containers/{id*}/kill" => containers::kill,
    POST "/containers/{id*}/update" => containers::update,
    POST "/containers/{id*}/rename" => containers::rename,
    POST "/containers/{id*}/pause" => containers::pause,
    POST "/containers/{id*}/unpause" => containers::unpause,
    POST "/containers/{id*}/attach" => containers::attach,
    GET "/containers/{id*}/attach/ws" => containers::attach_ws,
    POST "/containers/{id*}/wait" => containers::wait,
    POST "/containers/{id*}/exec" => execs::create,
    HEAD "/containers/{id*}/archive" => containers::stat_path,
    GET "/containers/{id*}/archive" => containers::get_archive,
    PUT "/containers/{id*}/archive" => containers::put_archive,
    GET "/containers/{id*}/checkpoints" => containers::checkpoints,
    POST "/containers/{id*}/checkpoints" => containers::checkpoints,
    DELETE "/containers/{id*}/checkpoints/{name}" => containers::checkpoints,
    DELETE "/containers/{id*}" => containers::remove,
    POST "/exec/{id}/start" => execs::start,
    POST "/exec/{id}/resize" => execs::resize,
    GET "/exec/{id}/json" => execs::inspect,
    POST "/commit" => containers::commit,
    GET "/images/json" => images::list,
    POST "/images/create" => images::create,
    POST "/images/load" => images::load,
    POST "/images/prune" => images::prune,
    GET "/images/get" => images::save_many,
    GET "/images/search" => images::search,
    GET "/images/{name*}/get" => images::save,
    GET "/images/{name*}/json" => images::inspect,
    GET "/images/{name*}/history" => images::history,
    GET "/images/{name*}/attestations" => images::attestations,
    GET "/distribution/{name*}/json" => images::describe,
    POST "/images/{name*}/push" => images::push,
    POST "/images/{name*}/tag" => images::tag,
    DELETE "/images/{name*}" => images::remove,
    POST "/build/prune" => system::build_prune,
    GET "/networks" => networks::list,
    GET "/networks/{id}" => networks::inspect,
    DELETE "/networks/{id}" => networks::remove,
    POST "/networks/prune" => networks::prune,
    POST "/networks/create" => networks::create,
    POST "/networks/{id}/connect" => networks::connect,
    POST "/networks/{id}/disconnect" => networks::disconnect,
    GET "/volumes" => volumes::list,
    POST "/volumes/create" => volumes::create,
    POST "/volumes/prune" => volumes::prune,
    GET "/volumes/{name}" => volumes::inspect,
    DELETE "/volumes/{name}" => volumes::remove,
};

/// Docker has these, and we do not yet.
const MISSING: [(&str, &str); 4] =
    [("/build", "builds"), ("/build/cancel", "builds"), ("/session", "sessions"), ("/grpc", "gRPC")];

/// What only a node of a swarm can do, in Docker's words.
const NO_SWARM: &str = "This node is not a swarm manager. Use \"docker swarm init\" or \"docker swarm join\" to connect this node to swarm and try again.";

/// It never becomes one, and nobody who asked for it should be told to ask for it.
const NEVER_SWARM: &str = "This node cannot be part of a swarm: this engine has no swarm mode";

/// Parts of the API that only a swarm has.
const SWARM: [&str; 7] = ["swarm", "nodes", "services", "tasks", "secrets", "configs", "node"];

/// Answers one request.
pub async fn answer(
    engine: Arc<Engine>,
    request: Request<Incoming>,
    take_over: TakeOver,
    caller: &Caller,
) -> Response<Body> {
    let (parts, body) = request.into_parts();
    let began = std::time::Instant::now();
    let path = parts.uri.path().to_owned();
    let mut answer = match engine.rate.turn(&caller.client()).await {
        Err(TooOften) => errors::too_often(),
        Ok(()) => told(engine, &parts, body.into(), take_over, caller).await,
    };
    tracing::debug!(method = %parts.method, path, status = answer.status().as_u16(), micros = began.elapsed().as_micros() as u64, "call");
    let headers = answer.headers_mut();
    for (name, value) in versions::headers() {
        headers.insert(name, HeaderValue::from_str(&value).unwrap_or(HeaderValue::from_static("")));
    }
    if let Some(id) = parts.headers.get("x-request-id") {
        headers.insert("x-request-id", id.clone());
    }
    answer
}

/// The answer, be it that the call failed.
async fn told(
    engine: Arc<Engine>,
    parts: &http::request::Parts,
    body: RequestBody,
    take_over: TakeOver,
    caller: &Caller,
) -> Response<Body> {
    match allowed(engine, parts, body, take_over, caller).await {
        Ok(answer) => answer,
        Err(error) => {
            if error.kind() == Kind::Internal || error.kind() == Kind::Unknown {
                let path = parts.uri.path();
                tracing::error!(method = %parts.method, path, error = %error.chain(), "a call failed");
            }
            errors::answer(&error)
        }
    }
}

/// Routes a request that every authorization plugin allows, and gives the answer that they allow.
async fn allowed(
    engine: Arc<Engine>,
    parts: &http::request::Parts,
    body: RequestBody,
    take_over: TakeOver,
    caller: &Caller,
) -> Answer {
    let (asked, body) = authorization::ask(&engine, caller, parts, body).await?;
    let answer = match route(engine, parts, body, take_over).await {
        Ok(answer) => answer,
        Err(error) => {
            asked.answer(&errors::answer(&error)).await?;
            return Err(error);
        }
    };
    asked.answer(&answer).await?;
    Ok(answer)
}

async fn route(
    engine: Arc<Engine>,
    parts: &http::request::Parts,
    body: RequestBody,
    take_over: TakeOver,
) -> Answer {
    let (version, path) = versions::split(parts.uri.path())?;
    let path_parts: Vec<String> = path.split('/').skip(1).map(|part| decode(part, false)).collect();
    for (method, pattern, handler) in ROUTES {
        if *method == parts.method
            && let Some(words) = matched(pattern, &path_parts)
        {
            let query = Query::parse(parts.uri.query().unwrap_or_default());
            let headers = parts.headers.clone();
            let mut answer =
                handler(Call { engine, version, words, query, headers, body, take_over }).await?;
            documented::fill(pattern, &mut answer);
            return Ok(answer);
        }
    }
    Err(unrouted(&parts.method, &path_parts))
}

fn unrouted(method: &Method, path: &[String]) -> Error {
    let first = path.first().map_or("", String::as_str);
    match (method, path.iter().map(String::as_str).collect::<Vec<_>>().as_slice()) {
        (&Method::POST, ["swarm", "init" | "join"]) => return Error::unavailable(NEVER_SWARM),
        (&Method::POST, ["swarm", "leave"]) => return Error::unavailable("This node is not part of a swarm"),
        _ => {}
    }
    // Updating a volume is for those of a cluster.
    let is_cluster_volume = *method == Method::PUT && matched("/volumes/{name}", path).is_some();
    if SWARM.contains(&first) || is_cluster_volume {
        return Error::unavailable(NO_SWARM);
    }
    if first == "plugins" {
        let name = path.get(1).map_or("", String::as_str);
        return Error::not_found(format!("plugin {name:?} not found: this engine has no managed plugins"));
    }
    if first == "debug" {
        return Error::not_found("page not found");
    }
    if let Some((_, what)) = MISSING.iter().find(|(pattern, _)| matched(pattern, path).is_some()) {
        return Error::unimplemented(format!("{what}: not implemented"));
    }
    Error::not_found("page not found")
}

/// The words in the braces of a pattern that covers the path.
fn matched(pattern: &str, path: &[String]) -> Option<Vec<String>> {
    let pattern: Vec<&str> = pattern.split('/').skip(1).collect();
    let greedy = pattern.iter().position(|part| part.ends_with("*}"));
    let extra = path.len().checked_sub(pattern.len())?;
    if extra > 0 && greedy.is_none() {
        return None;
    }
    let mut words = Vec::new();
    let mut at = 0;
    for (index, part) in pattern.iter().enumerate() {
        let length = if greedy == Some(index) { extra + 1 } else { 1 };
        let found = path.get(at..at + length)?.join("/");
        at += length;
        if !part.starts_with('{') {
            if *part != found {
                return None;
            }
        } else if found.is_empty() {
            return None;
        } else {
            words.push(found);
        }
    }
    Some(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(pattern: &str, path: &str) -> Option<Vec<String>> {
        let parts: Vec<String> = path.split('/').skip(1).map(str::to_owned).collect();
        matched(pattern, &parts)
    }

    #[test]
    fn patterns_match_parts_and_image_names() {
        assert_eq!(words("/containers/{id*}/json", "/containers/abc/json").unwrap(), ["abc"]);
        assert_eq!(words("/images/{name*}/json", "/images/reg:5000/a/b:1/json").unwrap(), ["reg:5000/a/b:1"]);
        assert_eq!(words("/images/{name*}", "/images/a/b").unwrap(), ["a/b"]);
        assert!(words("/containers/{id*}/json", "/containers//json").is_none());
        assert_eq!(words("/containers/{id*}/json", "/containers/a/b/json").unwrap(), ["a/b"]);
        assert!(words("/images/{name*}/json", "/images/json").is_none());
    }

    #[test]
    fn what_is_missing_says_so() {
        let path = |text: &str| text.split('/').skip(1).map(str::to_owned).collect::<Vec<_>>();
        assert_eq!(unrouted(&Method::POST, &path("/build")).kind(), Kind::Unimplemented);
        assert!(
            unrouted(&Method::GET, &path("/services"))
                .to_string()
                .starts_with("This node is not a swarm manager")
        );
        assert_eq!(unrouted(&Method::GET, &path("/nothing")).kind(), Kind::NotFound);
    }
}
