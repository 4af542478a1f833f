//! `context import`.

use std::fs::File;
use std::io::{self, Read};

use engine_client::{Contexts, unpack_context};

use crate::grammar::{Arity, Command, Exit, Failure, Matches};
use crate::options::environment::os_text;
use crate::output;
use crate::session::Session;

pub const COMMAND: Command = Command {
    paths: &["context import"],
    usage: "CONTEXT FILE|-",
    about: "Make a context of a tar archive",
    flags: &[],
    arity: Arity::Exactly(2),
    stops_at_positional: false,
    run: |session, matches| Box::pin(run(session, matches)),
};

async fn run(session: &Session, matches: &Matches) -> Result<Exit, Failure> {
    let store = Contexts::new(session.config.directory());
    let (name, path) = (matches.arg(0), matches.arg(1));
    store.check_new(name)?;
    let source: Box<dyn Read> = match path {
        "-" => Box::new(io::stdin()),
        path => Box::new(
            File::open(path).map_err(|error| Failure::new(format!("open {path}: {}", os_text(&error))))?,
        ),
    };
    let (mut context, tls) = unpack_context(source)?;
    context.name = name.to_owned();
    store.create(&context, &tls)?;
    output::println(name)?;
    output::note(format!("Successfully imported context {name:?}"));
    Ok(Exit::OK)
}
