//! `checkpoint create`.

use serde_json::json;

use super::{DIRECTORY, require_experimental};
use crate::grammar::{Arity, Command, Exit, Failure, Flag, Matches};
use crate::output;
use crate::session::Session;

pub const COMMAND: Command = Command {
    paths: &["checkpoint create"],
    usage: "CONTAINER CHECKPOINT",
    about: "Create a checkpoint of a running container",
    flags: &[FLAGS],
    arity: Arity::Exactly(2),
    stops_at_positional: false,
    run: |session, matches| Box::pin(run(session, matches)),
};

const FLAGS: &[Flag] = &[DIRECTORY, Flag::bool("leave-running", "Let the container go on")];

async fn run(session: &Session, matches: &Matches) -> Result<Exit, Failure> {
    require_experimental(&session.engine, &matches.path).await?;
    let name = matches.arg(1);
    let body = json!({
        "CheckpointID": name, "CheckpointDir": matches.text_or_empty("checkpoint-dir"), "Exit": !matches.flag("leave-running"),
    });
    session.engine.post(&format!("/containers/{}/checkpoints", matches.arg(0))).json(&body)?.done().await?;
    output::println(name)?;
    Ok(Exit::OK)
}
