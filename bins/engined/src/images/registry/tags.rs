//! The tags of a repository, for a pull of all of them.

use engine_api::auth::AuthConfig;
use errdefs::Result;
use reference::Reference;

use crate::engine::Engine;

/// Every tag that the registry lists.
///
/// # Errors
/// The registry cannot be reached, refuses, or does not know the repository.
pub async fn tags(engine: &Engine, name: &Reference, auth: &AuthConfig) -> Result<Vec<String>> {
    super::repository(engine, name, auth)?.tags().await
}
