//! `diff`.

use engine_api::container::Change;

use crate::grammar::{Arity, Command, Exit, Failure, Matches};
use crate::output;
use crate::session::Session;

pub const COMMAND: Command = Command {
    paths: &["container diff", "diff"],
    usage: "CONTAINER",
    about: "Show what changed in a container's file system",
    flags: &[],
    arity: Arity::Exactly(1),
    stops_at_positional: false,
    run: |session, matches| Box::pin(run(session, matches)),
};

async fn run(session: &Session, matches: &Matches) -> Result<Exit, Failure> {
    let changes: Option<Vec<Change>> =
        session.engine.get(&format!("/containers/{}/changes", matches.arg(0))).fetch().await?;
    let letter = |kind| ["C", "A", "D"].get(usize::from(kind)).copied().unwrap_or("?");
    let lines: String = changes
        .unwrap_or_default()
        .iter()
        .map(|change| format!("{} {}\n", letter(change.kind), change.path))
        .collect();
    output::print(lines)?;
    Ok(Exit::OK)
}
