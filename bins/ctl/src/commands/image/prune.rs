//! `image prune`.

use engine_api::image::ImagesPruned;

use crate::commands::image::rm::line;
use crate::commands::prune::{FILTER, FORCE, confirmed, reclaimed};
use crate::grammar::{Arity, Command, Exit, Failure, Flag, Matches};
use crate::options::filter;
use crate::output;
use crate::session::Session;

pub const COMMAND: Command = Command {
    paths: &["image prune"],
    usage: "",
    about: "Remove unused images",
    flags: &[FLAGS],
    arity: Arity::None,
    stops_at_positional: false,
    run: |session, matches| Box::pin(run(session, matches)),
};

const FLAGS: &[Flag] = &[
    Flag::bool("all", "Remove all images that no container uses, not only untagged ones").short('a'),
    FILTER,
    FORCE,
];

async fn run(session: &Session, matches: &Matches) -> Result<Exit, Failure> {
    let all = matches.flag("all");
    let warning = if all {
        "WARNING! This will remove all images without at least one container associated to them."
    } else {
        "WARNING! This will remove all dangling images."
    };
    if !confirmed(matches, warning)? {
        return Ok(Exit::OK);
    }
    let pruned = prune(session, matches.list("filter"), all).await?;
    let rows = pruned.images_deleted.unwrap_or_default();
    let mut text = String::new();
    if !rows.is_empty() {
        let lines: String = rows
            .iter()
            .map(|row| line(row).replacen("Untagged", "untagged", 1).replacen("Deleted", "deleted", 1))
            .collect();
        text = format!("Deleted Images:\n{lines}\n");
    }
    output::print(text + &reclaimed(pruned.space_reclaimed))?;
    Ok(Exit::OK)
}

/// Removes images that nothing uses.
pub async fn prune(session: &Session, filters: &[String], all: bool) -> Result<ImagesPruned, Failure> {
    let mut filters = filters.to_vec();
    filters.push(format!("dangling={}", !all));
    Ok(session.engine.post("/images/prune").query_some("filters", filter::to_json(&filters)?).fetch().await?)
}
