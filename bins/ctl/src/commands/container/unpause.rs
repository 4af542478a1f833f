//! `unpause`.

use crate::commands::each::Each;
use crate::grammar::{Arity, Command, Exit, Failure, Matches};
use crate::session::Session;

pub const COMMAND: Command = Command {
    paths: &["container unpause", "unpause"],
    usage: "CONTAINER [CONTAINER...]",
    about: "Let the processes of paused containers go on",
    flags: &[],
    arity: Arity::AtLeast(1),
    stops_at_positional: false,
    run: |session, matches| Box::pin(run(session, matches)),
};

async fn run(session: &Session, matches: &Matches) -> Result<Exit, Failure> {
    let mut each = Each::default();
    for name in &matches.args {
        let request = session.engine.post(&format!("/containers/{name}/unpause"));
        each.done(name, request.done().await)?;
    }
    each.finish()
}
