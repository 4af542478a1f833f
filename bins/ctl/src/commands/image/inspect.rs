//! `image inspect`.

use crate::commands::inspecting::{self, FORMAT};
use crate::grammar::{Arity, Command, Exit, Failure, Flag, Matches};
use crate::options::platform::platform_json;
use crate::session::Session;

pub const COMMAND: Command = Command {
    paths: &["image inspect"],
    usage: "IMAGE [IMAGE...]",
    about: "Show all about one or more images",
    flags: &[FLAGS],
    arity: Arity::AtLeast(1),
    stops_at_positional: false,
    run: |session, matches| Box::pin(run(session, matches)),
};

const FLAGS: &[Flag] =
    &[FORMAT, Flag::text("platform", "Show this platform of the image (os[/arch[/variant]])").since(49)];

async fn run(session: &Session, matches: &Matches) -> Result<Exit, Failure> {
    let platform = platform_json(matches.text_or_empty("platform"))?;
    inspecting::each(matches, |name| {
        session.engine.get(&format!("/images/{name}/json")).query_some("platform", &platform)
    })
    .await
}
