//! Registries as the engine asks them itself; content comes and goes through the supervisor alone.

mod describe;
mod login;
mod search;
mod tags;

pub use describe::describe;
pub use login::login;
pub use search::{FILTERS as SEARCH_FILTERS, search};
pub use tags::tags;

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};

use distribution::{Credential, Credentials, HostsConfig, Limits, Proxies, Repository, Transport};
use engine_api::auth::AuthConfig;
use errdefs::{Error, Result};
use reference::Reference;

use crate::engine::Engine;

/// Where certificates and mirrors of registries are kept, as Docker and containerd have them.
const DIRECTORIES: [&str; 2] = ["/etc/docker/certs.d", "/etc/containerd/certs.d"];

/// Connections, opened when the first is needed.
#[derive(Default)]
pub struct Connections(OnceLock<Arc<Transport>>);

impl Connections {
    fn get(&self) -> Result<Arc<Transport>> {
        if let Some(transport) = self.0.get() {
            return Ok(transport.clone());
        }
        let transport = Arc::new(Transport::new(Proxies::from_environment()?));
        Ok(self.0.get_or_init(|| transport).clone())
    }
}

/// Answers a registry with what the client sent along.
struct Sent(AuthConfig);

impl Credentials for Sent {
    fn credential<'a>(
        &'a self,
        _: &'a str,
        _: &'a [String],
    ) -> Pin<Box<dyn Future<Output = Result<Credential>> + Send + 'a>> {
        Box::pin(async { Ok(credential(&self.0)) })
    }
}

fn credential(auth: &AuthConfig) -> Credential {
    if !auth.identity_token.is_empty() {
        Credential::Refresh { secret: auth.identity_token.clone() }
    } else if !auth.registry_token.is_empty() {
        Credential::Header(format!("Bearer {}", auth.registry_token))
    } else if auth.username.is_empty() {
        Credential::None
    } else {
        Credential::Basic { username: auth.username.clone(), secret: auth.password.clone() }
    }
}

fn hosts(engine: &Engine) -> HostsConfig {
    let settings = engine.settings();
    HostsConfig {
        directories: DIRECTORIES.map(Into::into).to_vec(),
        insecure: settings.insecure_registries.clone(),
        mirrors: settings.registry_mirrors.clone(),
        ..HostsConfig::default()
    }
}

/// A repository, asked with a client's credentials.
fn repository(engine: &Engine, name: &Reference, auth: &AuthConfig) -> Result<Repository> {
    let hosts = hosts(engine).hosts(name.domain())?;
    let credentials = Arc::new(Sent(auth.clone()));
    // A person waits for the answer.
    let limits = Limits { attempts: 3, ..Limits::default() };
    Ok(Repository::new(name.clone(), hosts, engine.images.connections.get()?, credentials, limits))
}

/// A file from a URL that a person named.
///
/// # Errors
/// It cannot be had.
pub async fn download(engine: &Engine, url: &str) -> Result<distribution::url::Download> {
    distribution::url::open(&*engine.images.connections.get()?, url).await
}

fn bad_name(cause: reference::ParseError) -> Error {
    Error::invalid_argument(cause.to_string())
}
