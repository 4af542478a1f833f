//! `network rm`.

use crate::commands::each::Each;
use crate::grammar::{Arity, Command, Exit, Failure, Flag, Matches};
use crate::session::Session;

pub const COMMAND: Command = Command {
    paths: &["network rm", "network remove"],
    usage: "NETWORK [NETWORK...]",
    about: "Remove one or more networks",
    flags: &[FLAGS],
    arity: Arity::AtLeast(1),
    stops_at_positional: false,
    run: |session, matches| Box::pin(run(session, matches)),
};

const FLAGS: &[Flag] = &[Flag::bool("force", "A network that is not there is no failure").short('f')];

async fn run(session: &Session, matches: &Matches) -> Result<Exit, Failure> {
    let mut each = Each::default();
    for name in &matches.args {
        let removed = session.engine.delete(&format!("/networks/{name}")).done().await;
        match removed {
            Err(error) if matches.flag("force") && error.is_not_found() => {}
            removed => each.done(name, removed)?,
        }
    }
    each.finish()
}
