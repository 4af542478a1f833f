//! `tag`.

use reference::Reference;

use crate::grammar::{Arity, Command, Exit, Failure, Matches};
use crate::session::Session;

pub const COMMAND: Command = Command {
    paths: &["image tag", "tag"],
    usage: "SOURCE_IMAGE[:TAG] TARGET_IMAGE[:TAG]",
    about: "Give an image another name",
    flags: &[],
    arity: Arity::Exactly(2),
    stops_at_positional: false,
    run: |session, matches| Box::pin(run(session, matches)),
};

async fn run(session: &Session, matches: &Matches) -> Result<Exit, Failure> {
    let (source, target) = (matches.arg(0), matches.arg(1));
    let wrong = |name: &str, error: reference::ParseError| {
        Failure::new(format!("Error parsing reference: {name:?} is not a valid repository/tag: {error}"))
    };
    if source.is_empty() {
        return Err(wrong(source, reference::ParseError::Format));
    }
    let target_name = Reference::parse_normalized(target).map_err(|error| wrong(target, error))?;
    if target_name.digest().is_some() {
        return Err(Failure::new("refusing to create a tag with a digest reference"));
    }
    let target_name = target_name.with_default_tag();
    session
        .engine
        .post(&format!("/images/{source}/tag"))
        .query("repo", target_name.familiar_name())
        .query_some("tag", target_name.tag().unwrap_or_default())
        .done()
        .await?;
    Ok(Exit::OK)
}
