//! `context rm`.

use engine_client::{Contexts, DEFAULT_CONTEXT};

use crate::commands::each::Each;
use crate::grammar::{Arity, Command, Exit, Failure, Flag, Matches};
use crate::session::Session;

pub const COMMAND: Command = Command {
    paths: &["context rm", "context remove"],
    usage: "CONTEXT [CONTEXT...]",
    about: "Remove one or more contexts",
    flags: &[FLAGS],
    arity: Arity::AtLeast(1),
    stops_at_positional: false,
    run: |session, matches| Box::pin(run(session, matches)),
};

const FLAGS: &[Flag] = &[Flag::bool("force", "Remove the context even when it is in use").short('f')];

async fn run(session: &Session, matches: &Matches) -> Result<Exit, Failure> {
    let store = Contexts::new(session.config.directory());
    let mut each = Each::default();
    for name in &matches.args {
        if name == DEFAULT_CONTEXT {
            each.failed(Failure::new("context \"default\" cannot be removed"));
        } else if session.context == *name && !matches.flag("force") {
            each.failed(Failure::new(format!("context {name:?} is in use, set -f flag to force remove")));
        } else if store.exists(name) {
            each.done(name, store.remove(name))?;
        } else if matches.flag("force") {
            each.done(name, Ok::<(), Failure>(()))?;
        } else {
            each.failed(Failure::new(format!("context {name:?} does not exist")));
        }
    }
    each.finish()
}
