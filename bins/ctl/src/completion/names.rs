//! What an engine and the configuration know by name.

use std::time::Duration;

use engine_api::container::Summary;
use engine_api::image::ImageSummary;
use engine_client::{Contexts, DEFAULT_CONTEXT, Request};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::candidates::Kind;
use crate::session::Session;

/// Longer nobody waits for a key.
pub const PATIENCE: Duration = Duration::from_secs(2);

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Named {
    name: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct VolumeList {
    volumes: Option<Vec<Named>>,
}

/// Names of a kind, each with a word on it; none where the engine does not answer.
pub async fn of(session: &Session, kind: Kind) -> Vec<(String, String)> {
    let engine = &session.engine;
    let plain = |named: Vec<Named>| named.into_iter().map(|one| (one.name, String::new())).collect();
    match kind {
        Kind::Container | Kind::ContainerPath => containers(session, |_| true).await,
        Kind::Running => containers(session, |state| matches!(state, "running" | "paused")).await,
        Kind::Stopped => {
            containers(session, |state| !matches!(state, "running" | "paused" | "restarting")).await
        }
        Kind::Paused => containers(session, |state| state == "paused").await,
        Kind::Image => images(session).await,
        Kind::Network => plain(fetch(engine.get("/networks")).await.unwrap_or_default()),
        Kind::Volume => {
            let list: Option<VolumeList> = fetch(engine.get("/volumes")).await;
            plain(list.and_then(|list| list.volumes).unwrap_or_default())
        }
        Kind::Context => {
            let stored = Contexts::new(session.config.directory()).list().unwrap_or_default();
            let default = (DEFAULT_CONTEXT.to_owned(), String::new());
            stored
                .into_iter()
                .map(|context| (context.name.clone(), context.description().to_owned()))
                .chain([default])
                .collect()
        }
        Kind::Anything => {
            let mut all = containers(session, |_| true).await;
            all.extend(images(session).await);
            for path in ["/networks", "/volumes"] {
                let kind = if path == "/networks" { Kind::Network } else { Kind::Volume };
                all.extend(Box::pin(of(session, kind)).await);
            }
            all
        }
    }
}

async fn fetch<T: DeserializeOwned>(request: Request<'_>) -> Option<T> {
    request.fetch().await.ok()
}

async fn containers(session: &Session, fits: impl Fn(&str) -> bool) -> Vec<(String, String)> {
    let all: Option<Vec<Summary>> = fetch(session.engine.get("/containers/json").query("all", "1")).await;
    let fitting = all.into_iter().flatten().filter(|container| fits(&container.state));
    fitting
        .filter_map(|container| {
            let name = container.names.iter().find(|name| name.matches('/').count() == 1)?;
            Some((
                name.trim_start_matches('/').to_owned(),
                format!("{}, {}", container.image, container.status),
            ))
        })
        .collect()
}

async fn images(session: &Session) -> Vec<(String, String)> {
    let all: Option<Vec<ImageSummary>> = fetch(session.engine.get("/images/json")).await;
    let names = all.into_iter().flatten().flat_map(|image| image.repo_tags.unwrap_or_default());
    let known = names.filter(|name| name != "<none>:<none>");
    // The tag that goes without saying need not be typed.
    known
        .flat_map(|name| {
            name.strip_suffix(":latest")
                .map(str::to_owned)
                .into_iter()
                .chain([name.clone()])
                .collect::<Vec<_>>()
        })
        .map(|name| (name, String::new()))
        .collect()
}
