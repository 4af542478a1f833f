//! `restart`.

use crate::commands::each::Each;
use crate::grammar::{Arity, Command, Exit, Failure, Flag, Matches};
use crate::session::Session;

pub const COMMAND: Command = Command {
    paths: &["container restart", "restart"],
    usage: "CONTAINER [CONTAINER...]",
    about: "Restart one or more containers",
    flags: &[FLAGS],
    arity: Arity::AtLeast(1),
    stops_at_positional: false,
    run: |session, matches| Box::pin(run(session, matches)),
};

const FLAGS: &[Flag] = &[
    Flag::text("signal", "Signal to send").short('s'),
    Flag::int("timeout", "Seconds to wait before killing").short('t'),
    Flag::int("time", "Seconds to wait before killing").hidden(),
];

async fn run(session: &Session, matches: &Matches) -> Result<Exit, Failure> {
    let mut each = Each::default();
    for name in &matches.args {
        let request = session.engine.post(&format!("/containers/{name}/restart"));
        each.done(
            name,
            request
                .query_some("signal", matches.text_or_empty("signal"))
                .query_some("t", matches.text("timeout").or(matches.text("time")).unwrap_or_default())
                .done()
                .await,
        )?;
    }
    each.finish()
}
