//! `logout`.

use engine_client::{Credentials, HUB_SERVER};

use crate::grammar::{Arity, Command, Exit, Failure, Matches};
use crate::output;
use crate::session::Session;

pub const COMMAND: Command = Command {
    paths: &["logout"],
    usage: "[SERVER]",
    about: "Log out from a registry",
    flags: &[],
    arity: Arity::AtMost(1),
    stops_at_positional: false,
    run: |session, matches| Box::pin(run(session, matches)),
};

async fn run(session: &Session, matches: &Matches) -> Result<Exit, Failure> {
    let (server, shown) = match matches.arg(0) {
        "" | "docker.io" => (HUB_SERVER, HUB_SERVER),
        server => {
            let bare =
                server.trim_start_matches("https://").trim_start_matches("http://").trim_end_matches('/');
            (bare, bare)
        }
    };
    let mut config = session.config.clone();
    output::println(format!("Removing login credentials for {shown}"))?;
    Credentials::new(&mut config).erase(server)?;
    Ok(Exit::OK)
}
