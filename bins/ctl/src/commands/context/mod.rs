//! Verbs of contexts.

pub mod create;
pub mod export;
pub mod import;
pub mod inspect;
pub mod ls;
pub mod rm;
pub mod show;
pub mod update;
pub mod r#use;

use engine_client::{Context, DEFAULT_CONTEXT, DEFAULT_HOST};

/// The context that is not stored: `DOCKER_HOST` or the default socket.
fn default_context() -> Context {
    let host = std::env::var("DOCKER_HOST").ok().filter(|host| !host.is_empty());
    let about = "Current DOCKER_HOST based configuration";
    Context::new(DEFAULT_CONTEXT, about, host.as_deref().unwrap_or(DEFAULT_HOST))
}
