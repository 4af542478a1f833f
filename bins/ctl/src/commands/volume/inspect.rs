//! `volume inspect`.

use crate::commands::inspecting::{self, FORMAT};
use crate::grammar::{Arity, Command, Exit, Failure, Flag, Matches};
use crate::session::Session;

pub const COMMAND: Command = Command {
    paths: &["volume inspect"],
    usage: "VOLUME [VOLUME...]",
    about: "Show all about one or more volumes",
    flags: &[FLAGS],
    arity: Arity::AtLeast(1),
    stops_at_positional: false,
    run: |session, matches| Box::pin(run(session, matches)),
};

const FLAGS: &[Flag] = &[FORMAT];

async fn run(session: &Session, matches: &Matches) -> Result<Exit, Failure> {
    inspecting::each(matches, |name| session.engine.get(&format!("/volumes/{name}"))).await
}
