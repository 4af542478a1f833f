//! `logs`.

use crate::commands::container::attached;
use crate::grammar::{Arity, Command, Exit, Failure, Flag, Matches};
use crate::output::time;
use crate::session::Session;
use crate::streams::FrameSink;

pub const COMMAND: Command = Command {
    paths: &["container logs", "logs"],
    usage: "CONTAINER",
    about: "Fetch the logs of a container",
    flags: &[FLAGS],
    arity: Arity::Exactly(1),
    stops_at_positional: false,
    run: |session, matches| Box::pin(run(session, matches)),
};

const FLAGS: &[Flag] = &[
    Flag::bool("details", "Show the attributes that the log driver keeps"),
    Flag::bool("follow", "Go on as the log grows").short('f'),
    Flag::text("since", "From a time (2013-01-02T13:23:37Z) or so long ago (42m)"),
    Flag::text("tail", "Number of lines from the end").short('n').default("all"),
    Flag::bool("timestamps", "Show times").short('t'),
    Flag::text("until", "Up to a time (2013-01-02T13:23:37Z) or so long ago (42m)").since(35),
];

async fn run(session: &Session, matches: &Matches) -> Result<Exit, Failure> {
    let container = attached::inspect(session, matches.arg(0)).await?;
    let moment = |name: &str| match matches.text_or_empty(name) {
        "" => Ok(String::new()),
        text => time::engine_timestamp(text)
            .map_err(|error| Failure::new(format!("invalid value for {name:?}: {error}"))),
    };
    let mut answer = session
        .engine
        .get(&format!("/containers/{}/logs", container.id))
        .query("stdout", "1")
        .query("stderr", "1")
        .query_some("since", moment("since")?)
        .query_some("until", moment("until")?)
        .query_flag("timestamps", matches.flag("timestamps"))
        .query_flag("details", matches.flag("details"))
        .query_flag("follow", matches.flag("follow"))
        .query_some("tail", matches.text_or_empty("tail"))
        .send()
        .await?;
    let mut sink = FrameSink::new(container.config.tty);
    while let Some(chunk) = answer.chunk().await? {
        sink.write(&chunk)?;
    }
    Ok(Exit::OK)
}
