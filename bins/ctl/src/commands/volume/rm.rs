//! `volume rm`.

use crate::commands::each::Each;
use crate::grammar::{Arity, Command, Exit, Failure, Flag, Matches};
use crate::session::Session;

pub const COMMAND: Command = Command {
    paths: &["volume rm", "volume remove"],
    usage: "VOLUME [VOLUME...]",
    about: "Remove one or more volumes",
    flags: &[FLAGS],
    arity: Arity::AtLeast(1),
    stops_at_positional: false,
    run: |session, matches| Box::pin(run(session, matches)),
};

const FLAGS: &[Flag] = &[Flag::bool("force", "A volume that is not there is no failure").short('f')];

async fn run(session: &Session, matches: &Matches) -> Result<Exit, Failure> {
    let mut each = Each::default();
    for name in &matches.args {
        let request = session.engine.delete(&format!("/volumes/{name}"));
        each.done(name, request.query_flag("force", matches.flag("force")).done().await)?;
    }
    each.finish()
}
