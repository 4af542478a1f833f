//! Searching a registry's index.

use std::sync::Arc;

use distribution::Limits;
use engine_api::auth::AuthConfig;
use engine_api::image::SearchRow;
use errdefs::{Error, Result};

use crate::engine::Engine;
use crate::filters::Filters;

/// The filters of a search.
pub const FILTERS: [&str; 3] = ["is-automated", "is-official", "stars"];
/// Rows when a client does not say.
const DEFAULT_LIMIT: i64 = 25;
/// Docker Hub's index.
const HUB: &str = "index.docker.io";

/// `GET /images/search`.
///
/// # Errors
/// A parameter is malformed; the index cannot be reached or does not search.
pub async fn search(
    engine: &Engine,
    term: &str,
    limit: Option<i64>,
    filters: &Filters,
    auth: &AuthConfig,
) -> Result<Vec<SearchRow>> {
    let limit = limit.filter(|limit| *limit != 0).unwrap_or(DEFAULT_LIMIT);
    if !(1..=100).contains(&limit) {
        return Err(Error::invalid_argument(format!("Limit {limit} is outside the range of [1, 100]")));
    }
    let (automated, official) = (filters.truth("is-automated")?, filters.truth("is-official")?);
    let stars = stars(filters)?;
    let (domain, term) = split(term)?;
    let host = super::hosts(engine).hosts(domain)?.into_iter().find(|host| host.mirror_of.is_none());
    let mut host = host.ok_or_else(|| Error::not_found(format!("no host of {domain} may be searched")))?;
    if domain == reference::DEFAULT_DOMAIN {
        host.authority = HUB.to_owned();
    }
    let credentials = Arc::new(super::Sent(auth.clone()));
    let limits = Limits { attempts: 2, ..Limits::default() };
    let transport = engine.images.connections.get()?;
    let found = distribution::search(transport, host, credentials, limits, term, limit as u32).await?;
    let rows = found.into_iter().filter(|row| {
        automated.is_none_or(|wanted| wanted == row.is_automated)
            && official.is_none_or(|wanted| wanted == row.is_official)
            && row.star_count >= stars
    });
    let row = |found: distribution::Found| SearchRow {
        name: found.name,
        description: found.description,
        star_count: found.star_count,
        is_official: found.is_official,
        is_automated: found.is_automated,
    };
    Ok(rows.map(row).collect())
}

fn stars(filters: &Filters) -> Result<i64> {
    let mut least = 0;
    for value in filters.values("stars").unwrap_or_default() {
        let value: i64 =
            value.parse().map_err(|_| Error::invalid_argument(format!("invalid filter 'stars={value}'")))?;
        least = least.max(value);
    }
    Ok(least)
}

/// The registry, and what is looked for there.
fn split(term: &str) -> Result<(&str, &str)> {
    if term.contains("://") {
        return Err(Error::invalid_argument(format!("invalid repository name ({term}): it has a scheme")));
    }
    let found = match term.split_once('/') {
        Some((host, rest)) if host.contains(['.', ':']) || host == "localhost" => (host, rest),
        _ => (reference::DEFAULT_DOMAIN, term),
    };
    let domain = if matches!(found.0, HUB | "docker.io") { reference::DEFAULT_DOMAIN } else { found.0 };
    let words = found.1.strip_prefix("library/").unwrap_or(found.1);
    if words.is_empty() {
        return Err(Error::invalid_argument("nothing to search for"));
    }
    Ok((domain, words))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn terms_may_name_a_registry() {
        assert_eq!(split("localhost:5000/a/b").unwrap(), ("localhost:5000", "a/b"));
        assert_eq!(split("a/b").unwrap(), ("docker.io", "a/b"));
        assert_eq!(split("index.docker.io/library/x").unwrap(), ("docker.io", "x"));
        assert!(split("").is_err() && split("https://x/y").is_err());
    }
}
