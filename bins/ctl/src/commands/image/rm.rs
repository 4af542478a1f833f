//! `rmi`, `image rm`.

use engine_api::image::ImageDeleted;

use crate::commands::each::Each;
use crate::grammar::{Arity, Command, Exit, Failure, Flag, Matches};
use crate::options::platform::platform_json;
use crate::output;
use crate::session::Session;

pub const COMMAND: Command = Command {
    paths: &["image rm", "image remove", "rmi"],
    usage: "IMAGE [IMAGE...]",
    about: "Remove one or more images",
    flags: &[FLAGS],
    arity: Arity::AtLeast(1),
    stops_at_positional: false,
    run: |session, matches| Box::pin(run(session, matches)),
};

const FLAGS: &[Flag] = &[
    Flag::bool("force", "Remove it even when it is used").short('f'),
    Flag::bool("no-prune", "Keep untagged parents"),
    Flag::strings("platform", "Remove only this platform").since(50),
];

async fn run(session: &Session, matches: &Matches) -> Result<Exit, Failure> {
    let mut each = Each::default();
    let force = matches.flag("force");
    for name in &matches.args {
        let mut request = session
            .engine
            .delete(&format!("/images/{name}"))
            .query_flag("force", force)
            .query_flag("noprune", matches.flag("no-prune"));
        for platform in matches.list("platform") {
            request = request.query("platforms", platform_json(platform)?);
        }
        match request.fetch::<Vec<ImageDeleted>>().await {
            Ok(rows) => output::print(rows.iter().map(line).collect::<String>())?,
            Err(error) if force && error.is_not_found() => output::note(error.to_string()),
            Err(error) => each.failed(error),
        }
    }
    each.finish()
}

/// `Untagged: x` or `Deleted: x`.
pub fn line(row: &ImageDeleted) -> String {
    if row.deleted.is_empty() {
        format!("Untagged: {}\n", row.untagged)
    } else {
        format!("Deleted: {}\n", row.deleted)
    }
}
