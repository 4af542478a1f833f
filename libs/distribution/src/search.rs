//! Searching a registry by the old index API (`/v1/search`), the only one that Docker Hub has for it.

use std::sync::Arc;

use errdefs::{Error, Result};
use http::Method;
use reference::Reference;
use serde::Deserialize;

use crate::auth::Credentials;
use crate::host::{Host, encode};
use crate::repository::{Limits, Repository};
use crate::request::Ask;
use crate::response::{error_of, read_body};
use crate::transport::Transport;

const ANSWER_LIMIT: u64 = 4 << 20;

/// A repository that was found.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(default)]
pub struct Found {
    pub name: String,
    pub description: String,
    pub star_count: i64,
    pub is_official: bool,
    pub is_automated: bool,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Answer {
    results: Vec<Found>,
}

/// Asks `host` for at most `limit` repositories that have to do with `term`.
///
/// # Errors
/// The host cannot be reached, or does not search.
pub async fn search(
    transport: Arc<Transport>,
    mut host: Host,
    credentials: Arc<dyn Credentials>,
    limits: Limits,
    term: &str,
    limit: u32,
) -> Result<Vec<Found>> {
    let bad = |cause| Error::invalid_argument("cannot search a registry by this name").with_source(cause);
    let reference = Reference::parse_normalized(&format!("{}/search", host.authority)).map_err(bad)?;
    let mut ask = Ask::new(Method::GET, format!("/v1/search?q={}&n={limit}", encode(term)), "");
    ask.scopes.clear();
    host.path = "/v1".to_owned();
    let repository = Repository::new(reference, vec![host.clone()], transport, credentials, limits);
    let response = repository.ask(&host, &ask).await?;
    if !response.status().is_success() {
        return Err(error_of(&format!("cannot search {}", host.authority), response).await);
    }
    let body = read_body(response, ANSWER_LIMIT).await?;
    serde_json::from_slice::<Answer>(&body).map(|answer| answer.results).map_err(|cause| {
        Error::unknown(format!("cannot read what {} found", host.authority)).with_source(cause)
    })
}
