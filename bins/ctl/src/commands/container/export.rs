//! `export`.

use crate::commands::transfer;
use crate::grammar::{Arity, Command, Exit, Failure, Flag, Matches};
use crate::session::Session;

pub const COMMAND: Command = Command {
    paths: &["container export", "export"],
    usage: "CONTAINER",
    about: "Write a container's file system as a tar archive",
    flags: &[FLAGS],
    arity: Arity::Exactly(1),
    stops_at_positional: false,
    run: |session, matches| Box::pin(run(session, matches)),
};

const FLAGS: &[Flag] = &[Flag::text("output", "File to write to, instead of stdout").short('o')];

async fn run(session: &Session, matches: &Matches) -> Result<Exit, Failure> {
    let request = session.engine.get(&format!("/containers/{}/export", matches.arg(0)));
    transfer::download(request, matches.text("output"), "failed to export container").await
}
