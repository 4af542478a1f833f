//! `checkpoint rm`.

use super::{DIRECTORY, require_experimental};
use crate::grammar::{Arity, Command, Exit, Failure, Flag, Matches};
use crate::session::Session;

pub const COMMAND: Command = Command {
    paths: &["checkpoint rm", "checkpoint remove"],
    usage: "CONTAINER CHECKPOINT",
    about: "Remove a checkpoint",
    flags: &[FLAGS],
    arity: Arity::Exactly(2),
    stops_at_positional: false,
    run: |session, matches| Box::pin(run(session, matches)),
};

const FLAGS: &[Flag] = &[DIRECTORY];

async fn run(session: &Session, matches: &Matches) -> Result<Exit, Failure> {
    require_experimental(&session.engine, &matches.path).await?;
    let request =
        session.engine.delete(&format!("/containers/{}/checkpoints/{}", matches.arg(0), matches.arg(1)));
    request.query_some("dir", matches.text_or_empty("checkpoint-dir")).done().await?;
    Ok(Exit::OK)
}
