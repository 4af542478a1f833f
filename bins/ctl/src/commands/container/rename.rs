//! `rename`.

use crate::grammar::{Arity, Command, Exit, Failure, Matches};
use crate::session::Session;

pub const COMMAND: Command = Command {
    paths: &["container rename", "rename"],
    usage: "CONTAINER NEW_NAME",
    about: "Rename a container",
    flags: &[],
    arity: Arity::Exactly(2),
    stops_at_positional: false,
    run: |session, matches| Box::pin(run(session, matches)),
};

async fn run(session: &Session, matches: &Matches) -> Result<Exit, Failure> {
    let (old, new) = (matches.arg(0).trim(), matches.arg(1).trim());
    if old.is_empty() || new.is_empty() {
        return Err(Failure::new("Error: Neither old nor new names may be empty"));
    }
    let renamed = session.engine.post(&format!("/containers/{old}/rename")).query("name", new).done().await;
    renamed
        .map_err(|error| Failure::new(format!("{error}\nError: failed to rename container named {old}")))?;
    Ok(Exit::OK)
}
