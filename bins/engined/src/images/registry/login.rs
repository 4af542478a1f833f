//! Trying credentials, for `login`.

use engine_api::auth::{AuthConfig, AuthResponse};
use errdefs::{Error, Result};
use reference::Reference;

use crate::engine::Engine;

/// What Docker calls its Hub where a server's address is meant.
const HUB: [&str; 4] = ["", "docker.io", "index.docker.io", "registry-1.docker.io"];

/// `POST /auth`.
///
/// # Errors
/// Unauthenticated: the registry does not take them. Otherwise what keeps us from asking it.
pub async fn login(engine: &Engine, auth: &AuthConfig) -> Result<AuthResponse> {
    let server = address(&auth.server_address);
    // Any repository's name does: none is asked for.
    let name = Reference::parse_normalized(&format!("{server}/login/login")).map_err(|_| {
        Error::invalid_argument(format!("invalid registry endpoint {:?}", auth.server_address))
    })?;
    let told = super::repository(engine, &name, auth)?.login().await?;
    Ok(AuthResponse { status: "Login Succeeded".to_owned(), identity_token: told.unwrap_or_default() })
}

/// The host of `https://host/v1/`, the forms that clients send.
fn address(text: &str) -> &str {
    let rest = text.split_once("://").map_or(text, |(_, rest)| rest);
    let host = rest.split('/').next().unwrap_or_default();
    if HUB.contains(&host) { "docker.io" } else { host }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_in_all_their_forms() {
        for (text, host) in [
            ("https://index.docker.io/v1/", "docker.io"),
            ("", "docker.io"),
            ("localhost:5000", "localhost:5000"),
            ("http://registry.example/v2/", "registry.example"),
        ] {
            assert_eq!(address(text), host);
        }
    }
}
