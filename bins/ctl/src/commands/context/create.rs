//! `context create`.

use engine_client::{Context, Contexts};

use crate::grammar::{Arity, Command, Exit, Failure, Flag, Matches};
use crate::options::context::{self, DockerEndpoint};
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
    Flag::list("docker", "The engine: host=, ca=, cert=, key=, skip-tls-verify=, or from=CONTEXT")
        .value("stringToString")
        .check(context::check),
    Flag::text("from", "Context to copy"),
];

async fn run(session: &Session, matches: &Matches) -> Result<Exit, Failure> {
    let store = Contexts::new(session.config.directory());
    let name = matches.arg(0);
    store.check_new(name)?;
    let mut context = Context::new(name, matches.text_or_empty("description"), "");
    let endpoint = if matches.changed("docker") {
        let endpoint = context::parse(&store, matches.list("docker"))?;
        match endpoint.host.is_empty() && !matches.list("docker").iter().any(|text| text.contains("from=")) {
            true => DockerEndpoint { host: session.engine.endpoint().to_string(), ..endpoint },
            false => endpoint,
        }
    } else if let Some(from) = matches.text("from") {
        let original = store.load(from)?;
        if context.description().is_empty() {
            context.metadata.clone_from(&original.metadata);
        }
        context::of(&original, &store)?
    } else {
        DockerEndpoint { host: session.engine.endpoint().to_string(), ..DockerEndpoint::default() }
    };
    endpoint.apply(&mut context);
    store.create(&context, &endpoint.tls)?;
    output::println(name)?;
    output::note(format!("Successfully created context {name:?}"));
    Ok(Exit::OK)
}
