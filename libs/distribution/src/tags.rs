//! All tags of a repository (distribution-spec "Listing Tags"), page by page.

use errdefs::{Error, Result};
use http::Method;
use http::header::LINK;
use serde::Deserialize;

use crate::MANIFEST_LIMIT;
use crate::host::Host;
use crate::repository::Repository;
use crate::request::Ask;
use crate::resolve::Failures;
use crate::response::{error_of, header, read_body};
use crate::upload::absolute;

/// Most pages that are asked for: a host may go round in circles.
const PAGE_LIMIT: usize = 1000;

#[derive(Deserialize)]
struct Page {
    #[serde(default)]
    tags: Option<Vec<String>>,
}

impl Repository {
    /// The repository's tags, as the first host that knows it lists them.
    ///
    /// # Errors
    /// The errors of all hosts together; NotFound when none has the repository.
    pub async fn tags(&self) -> Result<Vec<String>> {
        let mut failures = Failures::default();
        for host in self.hosts.iter().filter(|host| host.capabilities.resolve) {
            match self.tags_at(host).await {
                Ok(tags) => return Ok(tags),
                Err(error) => failures.add(host, error),
            }
        }
        Err(failures.into_error("failed to list tags", &self.reference.name()))
    }

    async fn tags_at(&self, host: &Host) -> Result<Vec<String>> {
        let base = host.path_of(self.reference.path(), "tags/list");
        let mut place = base.clone();
        let mut found = Vec::new();
        for _ in 0..PAGE_LIMIT {
            let response = self.ask(host, &Ask::new(Method::GET, place, &self.scope("pull"))).await?;
            if !response.status().is_success() {
                return Err(error_of(&format!("cannot list tags at {}", host.authority), response).await);
            }
            let next = header(response.headers(), LINK.as_str()).and_then(next_page).map(str::to_owned);
            let body = read_body(response, MANIFEST_LIMIT).await?;
            let page: Page = serde_json::from_slice(&body)
                .map_err(|cause| Error::unknown("cannot read the list of tags").with_source(cause))?;
            found.extend(page.tags.unwrap_or_default());
            match next {
                Some(next) => place = absolute(host, &base, &next)?,
                None => return Ok(found),
            }
        }
        Err(Error::unknown(format!("{} lists tags without end", host.authority)))
    }
}

/// The URL of `Link: <URL>; rel="next"` (RFC 8288).
fn next_page(value: &str) -> Option<&str> {
    value.split(',').find_map(|link| {
        let (url, parameters) = link.trim().strip_prefix('<')?.split_once('>')?;
        let is_next = parameters.split(';').any(|one| matches!(one.trim(), "rel=\"next\"" | "rel=next"));
        is_next.then_some(url)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn links_to_the_next_page() {
        assert_eq!(
            next_page("</v2/a/tags/list?last=b&n=2>; rel=\"next\""),
            Some("/v2/a/tags/list?last=b&n=2")
        );
        assert_eq!(next_page("<x>; rel=prev, <y>; a=b; rel=next"), Some("y"));
        assert_eq!(next_page("<x>; rel=\"last\""), None);
    }

    proptest! {
        #[test]
        fn any_value_is_read(value in ".{0,80}") {
            let _ = next_page(&value);
        }
    }
}
