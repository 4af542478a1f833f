//! `rm`.

use crate::commands::each::Each;
use crate::grammar::{Arity, Command, Exit, Failure, Flag, Matches};
use crate::session::Session;

pub const COMMAND: Command = Command {
    paths: &["container rm", "container remove", "rm"],
    usage: "CONTAINER [CONTAINER...]",
    about: "Remove one or more containers",
    flags: &[FLAGS],
    arity: Arity::AtLeast(1),
    stops_at_positional: false,
    run: |session, matches| Box::pin(run(session, matches)),
};

const FLAGS: &[Flag] = &[
    Flag::bool("force", "Kill a running container first").short('f'),
    Flag::bool("link", "Remove the link of this name").short('l'),
    Flag::bool("volumes", "Remove the container's anonymous volumes too").short('v'),
];

async fn run(session: &Session, matches: &Matches) -> Result<Exit, Failure> {
    let mut each = Each::default();
    let force = matches.flag("force");
    for name in &matches.args {
        let name = name.trim_matches('/');
        if name.is_empty() {
            each.failed(Failure::new("Container name cannot be empty"));
            continue;
        }
        let removed = session
            .engine
            .delete(&format!("/containers/{name}"))
            .query_flag("force", force)
            .query_flag("link", matches.flag("link"))
            .query_flag("v", matches.flag("volumes"))
            .done()
            .await;
        match removed {
            // What is to be gone and is not there is said, but is no failure.
            Err(error) if force && error.is_not_found() => crate::output::note(error.to_string()),
            removed => each.done(name, removed)?,
        }
    }
    each.finish()
}
