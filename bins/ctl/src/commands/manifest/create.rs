//! `manifest create`.

use super::store::Store;
use super::{INSECURE, named, registry};
use crate::grammar::{Arity, Command, Exit, Failure, Flag, Matches};
use crate::output;
use crate::session::Session;

pub const COMMAND: Command = Command {
    paths: &["manifest create"],
    usage: "MANIFEST_LIST MANIFEST [MANIFEST...]",
    about: "Make a manifest list of manifests in registries",
    flags: &[FLAGS],
    arity: Arity::AtLeast(2),
    stops_at_positional: false,
    run: |session, matches| Box::pin(run(session, matches)),
};

const FLAGS: &[Flag] = &[Flag::bool("amend", "Add to a list that exists").short('a'), INSECURE];

async fn run(session: &Session, matches: &Matches) -> Result<Exit, Failure> {
    let list = named("manifest list", matches.arg(0))?.canonical();
    let store = Store::new(session.config.directory());
    if store.exists(&list) && !matches.flag("amend") {
        return Err(Failure::new("refusing to amend an existing manifest list with no --amend flag"));
    }
    let mut entries = Vec::new();
    for name in &matches.args[1..] {
        entries.push(registry::entry(session, &named("manifest", name)?, matches.flag("insecure")).await?);
    }
    // Written when all are known: a list is whole, or is not.
    for entry in &entries {
        store.put(&list, entry)?;
    }
    output::println(format!("Created manifest list {list}"))?;
    Ok(Exit::OK)
}
