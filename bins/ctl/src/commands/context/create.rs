//! `context create`.

use engine_client::{Context, Contexts, Endpoint};

use crate::grammar::{Arity, Command, Exit, Failure, Flag, Matches};
use crate::output;
use crate::session::Session;

pub const COMMAND: Command = Command {
    paths: &["context create"],
    usage: "CONTEXT",
    about: "Create a context",
    flags: &[FLAGS],
    arity: Arity::Exactly(1),
    stops_at_positional: false,
    run: |session, matches| Box::pin(run(session, matches)),
};

const FLAGS: &[Flag] = &[
    Flag::text("description", "What the context is for"),
    Flag::list("docker", "The engine: host=ADDRESS or from=CONTEXT").value("stringToString"),
    Flag::text("from", "Context to copy"),
];

async fn run(session: &Session, matches: &Matches) -> Result<Exit, Failure> {
    let store = Contexts::new(session.config.directory());
    let mut host = session.engine.endpoint().to_string();
    let from = |name: &str| store.load(name).map(|context| context.docker_host().to_owned());
    if let Some(name) = matches.text("from") {
        host = from(name)?;
    }
    for field in matches.list("docker").iter().flat_map(|text| text.split(',')) {
        match field.split_once('=') {
            Some(("host", address)) => host = address.to_owned(),
            Some(("from", name)) => host = from(name)?,
            Some((name, _)) => return Err(Failure::new(format!("unable to create context: {name}: unrecognized config key"))),
            None => return Err(Failure::new(format!("{field} must be formatted as key=value"))),
        }
    }
    Endpoint::parse(&host).map_err(|error| Failure::new(format!("unable to create docker endpoint config: {error}")))?;
    let name = matches.arg(0);
    store.create(&Context::new(name, matches.text_or_empty("description"), &host))?;
    output::println(name)?;
    output::note(format!("Successfully created context {name:?}"));
    Ok(Exit::OK)
}
