//! `pause`.

use crate::commands::each::Each;
use crate::grammar::{Arity, Command, Exit, Failure, Matches};
use crate::session::Session;

pub const COMMAND: Command = Command {
    paths: &["container pause", "pause"],
    usage: "CONTAINER [CONTAINER...]",
    about: "Pause all processes of one or more containers",
    flags: &[],
    arity: Arity::AtLeast(1),
    stops_at_positional: false,
    run: |session, matches| Box::pin(run(session, matches)),
};

async fn run(session: &Session, matches: &Matches) -> Result<Exit, Failure> {
    let mut each = Each::default();
    for name in &matches.args {
        let request = session.engine.post(&format!("/containers/{name}/pause"));
        each.done(name, request.done().await)?;
    }
    each.finish()
}
