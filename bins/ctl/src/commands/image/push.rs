//! `push`.

use reference::Reference;

use crate::commands::image::pull::registry_auth;
use crate::grammar::{Arity, Command, Exit, Failure, Flag, Matches};
use crate::options::platform::platform_json;
use crate::output;
use crate::output::progress::{self, Sink};
use crate::session::Session;

pub const COMMAND: Command = Command {
    paths: &["image push", "push"],
    usage: "NAME[:TAG]",
    about: "Upload an image to a registry",
    flags: &[FLAGS],
    arity: Arity::Exactly(1),
    stops_at_positional: false,
    run: |session, matches| Box::pin(run(session, matches)),
};

const FLAGS: &[Flag] = &[
    Flag::bool("all-tags", "Upload all tags of the repository").short('a'),
    Flag::bool("disable-content-trust", "Skip the signing of images").default("true"),
    Flag::text("platform", "Upload only this platform of the image").since(46),
    Flag::bool("quiet", "Show only the image's name").short('q'),
];

async fn run(session: &Session, matches: &Matches) -> Result<Exit, Failure> {
    let name = Reference::parse_normalized(matches.arg(0))?;
    let (all, quiet) = (matches.flag("all-tags"), matches.flag("quiet"));
    if all && !name.is_name_only() {
        return Err(Failure::new("tag can't be used with --all-tags/-a"));
    }
    if name.digest().is_some() {
        return Err(
            Failure::new("cannot push a digest reference").with_hint("Give a tag: what it names is pushed.")
        );
    }
    let bare = name.is_name_only();
    let name = if all { name } else { name.with_default_tag() };
    if bare && !all && !quiet {
        output::println(format!("Using default tag: {}", name.tag().unwrap_or_default()))?;
    }
    let stream = session
        .engine
        .post(&format!("/images/{}/push", name.familiar_name()))
        .query_some("tag", name.tag().unwrap_or_default())
        .query_some("platform", &platform_json(matches.text_or_empty("platform"))?)
        .header("X-Registry-Auth", &registry_auth(session, &name)?)
        .json_lines()
        .await?;
    let sink = if quiet { Sink::Nowhere } else { Sink::Stdout };
    progress::show(stream, sink).await?;
    if quiet {
        output::println(name.canonical())?;
    }
    Ok(Exit::OK)
}
