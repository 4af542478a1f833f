//! `pull`.

use engine_client::{Credentials, auth_header, registry_server};
use reference::Reference;

use crate::grammar::{Arity, Command, Exit, Failure, Flag, Matches};
use crate::output;
use crate::output::progress::{self, Sink};
use crate::session::Session;

pub const COMMAND: Command = Command {
    paths: &["image pull", "pull"],
    usage: "NAME[:TAG|@DIGEST]",
    about: "Download an image from a registry",
    flags: &[FLAGS],
    arity: Arity::Exactly(1),
    stops_at_positional: false,
    run: |session, matches| Box::pin(run(session, matches)),
};

const FLAGS: &[Flag] = &[
    Flag::bool("all-tags", "Download all tags of the repository").short('a'),
    Flag::bool("disable-content-trust", "Skip the verification of image signatures").default("true"),
    Flag::text("platform", "Platform of the image").since(32),
    Flag::bool("quiet", "Show only the image's name").short('q'),
];

async fn run(session: &Session, matches: &Matches) -> Result<Exit, Failure> {
    let name = Reference::parse_normalized(matches.arg(0))?;
    let all = matches.flag("all-tags");
    if all && !name.is_name_only() {
        return Err(Failure::new("tag can't be used with --all-tags/-a"));
    }
    let quiet = matches.flag("quiet");
    let name = if all { name } else { name.clone().with_default_tag() };
    if !all && Reference::parse_normalized(matches.arg(0))?.is_name_only() && !quiet {
        output::println(format!("Using default tag: {}", name.tag().unwrap_or_default()))?;
    }
    let sink = if quiet { Sink::Nowhere } else { Sink::Stdout };
    pull_reference(session, &name, &matches.platform(), sink).await?;
    output::println(name.canonical())?;
    Ok(Exit::OK)
}

/// Pulls the image that a container is to be made of.
///
/// # Errors
/// The name is none, or the engine or registry refuses.
pub async fn pull(session: &Session, image: &str, platform: &str, sink: Sink) -> Result<(), Failure> {
    let name = Reference::parse_normalized(image)?.with_default_tag();
    pull_reference(session, &name, platform, sink).await
}

async fn pull_reference(
    session: &Session,
    name: &Reference,
    platform: &str,
    sink: Sink,
) -> Result<(), Failure> {
    let tag =
        name.digest().map(ToString::to_string).or_else(|| name.tag().map(str::to_owned)).unwrap_or_default();
    let stream = session
        .engine
        .post("/images/create")
        .query("fromImage", name.familiar_name())
        .query_some("tag", tag)
        .query_some("platform", platform.to_lowercase())
        .header("X-Registry-Auth", &registry_auth(session, name)?)
        .json_lines()
        .await?;
    progress::show(stream, sink).await?;
    Ok(())
}

/// Credentials of an image's registry, as the header carries them.
///
/// # Errors
/// The credential helper fails.
pub fn registry_auth(session: &Session, name: &Reference) -> Result<String, Failure> {
    let mut config = session.config.clone();
    Ok(auth_header(&Credentials::new(&mut config).get(registry_server(name.domain()))?))
}
