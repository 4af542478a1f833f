//! `volume update`: cluster volumes, which are swarm's.

use crate::grammar::{Arity, Command, Exit, Failure, Flag, Matches};
use crate::session::Session;

pub const COMMAND: Command = Command {
    paths: &["volume update"],
    usage: "[VOLUME]",
    about: "Update a volume (cluster volumes only)",
    flags: &[FLAGS],
    arity: Arity::AtMost(1),
    stops_at_positional: false,
    run: |session, matches| Box::pin(run(session, matches)),
};

const FLAGS: &[Flag] = &[Flag::text("availability", "Availability of the cluster volume").default("active")];

async fn run(session: &Session, matches: &Matches) -> Result<Exit, Failure> {
    let request = session.engine.get(&format!("/volumes/{}", matches.arg(0)));
    request.done().await?;
    Err(Failure::new("Can only update cluster volumes"))
}
