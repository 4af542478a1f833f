//! `commit`.

use engine_api::image::Committed;
use reference::Reference;

use crate::grammar::{Arity, Command, Exit, Failure, Flag, Matches};
use crate::output;
use crate::session::Session;

pub const COMMAND: Command = Command {
    paths: &["container commit", "commit"],
    usage: "CONTAINER [REPOSITORY[:TAG]]",
    about: "Make an image of a container's changes",
    flags: &[FLAGS],
    arity: Arity::Between(1, 2),
    stops_at_positional: false,
    run: |session, matches| Box::pin(run(session, matches)),
};

const FLAGS: &[Flag] = &[
    Flag::text("author", "Author of the image").short('a'),
    Flag::list("change", "Dockerfile instruction to apply").short('c'),
    Flag::text("message", "Commit message").short('m'),
    Flag::bool("pause", "Pause the container meanwhile").short('p').default("true"),
];

async fn run(session: &Session, matches: &Matches) -> Result<Exit, Failure> {
    let mut request = session.engine.post("/commit").query("container", matches.arg(0));
    if let Some(name) = matches.args.get(1) {
        let name = Reference::parse_normalized(name)?;
        if name.digest().is_some() {
            return Err(Failure::new("cannot commit to digest reference"));
        }
        let name = name.with_default_tag();
        request =
            request.query("repo", name.familiar_name()).query_some("tag", name.tag().unwrap_or_default());
    }
    request = request
        .query_some("author", matches.text_or_empty("author"))
        .query_some("comment", matches.text_or_empty("message"));
    for change in matches.list("change") {
        request = request.query("changes", change);
    }
    if matches.changed("pause") && !matches.flag("pause") {
        request = request.query("pause", "0");
    }
    let committed: Committed = request.json(&serde_json::Value::Null)?.fetch().await?;
    output::println(committed.id)?;
    Ok(Exit::OK)
}
