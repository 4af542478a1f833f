//! `kill`.

use crate::commands::each::Each;
use crate::grammar::{Arity, Command, Exit, Failure, Flag, Matches};
use crate::session::Session;

pub const COMMAND: Command = Command {
    paths: &["container kill", "kill"],
    usage: "CONTAINER [CONTAINER...]",
    about: "Kill one or more running containers",
    flags: &[FLAGS],
    arity: Arity::AtLeast(1),
    stops_at_positional: false,
    run: |session, matches| Box::pin(run(session, matches)),
};

const FLAGS: &[Flag] = &[Flag::text("signal", "Signal to send").short('s')];

async fn run(session: &Session, matches: &Matches) -> Result<Exit, Failure> {
    let mut each = Each::default();
    for name in &matches.args {
        let request = session.engine.post(&format!("/containers/{name}/kill"));
        each.done(name, request.query("signal", matches.text("signal").unwrap_or("KILL")).done().await)?;
    }
    each.finish()
}
