//! `context use`.

use engine_client::{Contexts, DEFAULT_CONTEXT};

use crate::grammar::{Arity, Command, Exit, Failure, Matches};
use crate::output;
use crate::session::Session;

pub const COMMAND: Command = Command {
    paths: &["context use"],
    usage: "CONTEXT",
    about: "Choose the context to use from now on",
    flags: &[],
    arity: Arity::Exactly(1),
    stops_at_positional: false,
    run: |session, matches| Box::pin(run(session, matches)),
};

async fn run(session: &Session, matches: &Matches) -> Result<Exit, Failure> {
    let name = matches.arg(0);
    if name != DEFAULT_CONTEXT {
        Contexts::new(session.config.directory()).load(name)?;
    }
    let mut config = session.config.clone();
    config.set("currentContext", (name != DEFAULT_CONTEXT).then(|| name.into()));
    config.save()?;
    output::println(name)?;
    output::note(format!("Current context is now {name:?}"));
    if name != DEFAULT_CONTEXT && std::env::var("DOCKER_HOST").is_ok_and(|host| !host.is_empty()) {
        output::note(format!(
            "Warning: DOCKER_HOST environment variable overrides the active context. To use {name:?}, either set the global --context flag, or unset DOCKER_HOST environment variable."
        ));
    }
    Ok(Exit::OK)
}
