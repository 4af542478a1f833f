//! `save`.

use crate::commands::transfer;
use crate::grammar::{Arity, Command, Exit, Failure, Flag, Matches};
use crate::options::platform::platform_json;
use crate::session::Session;

pub const COMMAND: Command = Command {
    paths: &["image save", "save"],
    usage: "IMAGE [IMAGE...]",
    about: "Write one or more images as a tar archive",
    flags: &[FLAGS],
    arity: Arity::AtLeast(1),
    stops_at_positional: false,
    run: |session, matches| Box::pin(run(session, matches)),
};

const FLAGS: &[Flag] = &[
    Flag::text("output", "File to write to, instead of stdout").short('o'),
    Flag::text("platform", "Save only this platform").since(48),
];

async fn run(session: &Session, matches: &Matches) -> Result<Exit, Failure> {
    let mut request = session.engine.get("/images/get");
    for name in &matches.args {
        request = request.query("names", name);
    }
    let request = request.query_some("platform", &platform_json(matches.text_or_empty("platform"))?);
    transfer::download(request, matches.text("output"), "failed to save image").await
}
