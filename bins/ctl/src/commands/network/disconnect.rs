//! `network disconnect`.

use engine_api::network::NetworkDisconnect;

use crate::grammar::{Arity, Command, Exit, Failure, Flag, Matches};
use crate::session::Session;

pub const COMMAND: Command = Command {
    paths: &["network disconnect"],
    usage: "NETWORK CONTAINER",
    about: "Disconnect a container from a network",
    flags: &[FLAGS],
    arity: Arity::Exactly(2),
    stops_at_positional: false,
    run: |session, matches| Box::pin(run(session, matches)),
};

const FLAGS: &[Flag] = &[Flag::bool("force", "Disconnect it in any case").short('f')];

async fn run(session: &Session, matches: &Matches) -> Result<Exit, Failure> {
    let body = NetworkDisconnect { container: matches.arg(1).to_owned(), force: matches.flag("force") };
    session.engine.post(&format!("/networks/{}/disconnect", matches.arg(0))).json(&body)?.done().await?;
    Ok(Exit::OK)
}
