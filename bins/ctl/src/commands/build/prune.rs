//! `builder prune`.

use engine_api::system::CachePruned;

use crate::commands::prune::{FORCE, confirmed, reclaimed, report};
use crate::grammar::{Arity, Command, Exit, Failure, Flag, Matches};
use crate::options::filter;
use crate::output;
use crate::session::Session;

pub const COMMAND: Command = Command {
    paths: &["builder prune"],
    usage: "",
    about: "Remove the build cache",
    flags: &[FLAGS],
    arity: Arity::None,
    stops_at_positional: false,
    run: |session, matches| Box::pin(run(session, matches)),
};

const FLAGS: &[Flag] = &[
    Flag::bool("all", "Remove all unused build cache, not only what nothing names").short('a'),
    Flag::list("filter", "Only what fits (until=24h)").value("filter").check(filter::check),
    FORCE,
    Flag::bytes("keep-storage", "Cache to keep"),
];

async fn run(session: &Session, matches: &Matches) -> Result<Exit, Failure> {
    let all = matches.flag("all");
    let warning = if all {
        "WARNING! This will remove all build cache."
    } else {
        "WARNING! This will remove all dangling build cache."
    };
    if !confirmed(matches, warning)? {
        return Ok(Exit::OK);
    }
    let request = session
        .engine
        .post("/build/prune")
        .query_flag("all", all)
        .query_some("filters", filter::to_json(matches.list("filter"))?);
    let keep = matches.bytes("keep-storage").map(|bytes| bytes.to_string()).unwrap_or_default();
    let pruned: CachePruned = request.query_some("keep-storage", keep).fetch().await?;
    let deleted = report("Deleted build cache objects:", &pruned.caches_deleted.unwrap_or_default());
    output::print(deleted + &reclaimed(pruned.space_reclaimed))?;
    Ok(Exit::OK)
}
