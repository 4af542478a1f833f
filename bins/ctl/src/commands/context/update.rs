//! `context update`.

use engine_client::{Contexts, DEFAULT_CONTEXT};

use crate::grammar::{Arity, Command, Exit, Failure, Flag, Matches};
use crate::options::context;
use crate::output;
use crate::session::Session;

pub const COMMAND: Command = Command {
    paths: &["context update"],
    usage: "CONTEXT",
    about: "Change a context",
    flags: &[FLAGS],
    arity: Arity::Exactly(1),
    stops_at_positional: false,
    run: |session, matches| Box::pin(run(session, matches)),
};

const FLAGS: &[Flag] = &[
    Flag::text("description", "What the context is for"),
    Flag::list("docker", "The engine: host=, ca=, cert=, key=, skip-tls-verify=, or from=CONTEXT")
        .value("stringToString")
        .check(context::check),
];

async fn run(session: &Session, matches: &Matches) -> Result<Exit, Failure> {
    let store = Contexts::new(session.config.directory());
    let name = matches.arg(0);
    if name == DEFAULT_CONTEXT {
        return Err(engine_client::ContextError::Reserved.into());
    }
    let mut stored = store.load(name)?;
    if let Some(description) = matches.text("description").filter(|text| !text.is_empty()) {
        stored.metadata.insert("Description".to_owned(), description.into());
    }
    if matches.changed("docker") {
        let endpoint = context::parse(&store, matches.list("docker"))?;
        endpoint.apply(&mut stored);
        store.write_tls(name, &endpoint.tls)?;
    }
    store.write(&stored)?;
    output::println(name)?;
    output::note(format!("Successfully updated context {name:?}"));
    Ok(Exit::OK)
}
