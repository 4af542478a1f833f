//! `volume prune`.

use engine_api::volume::VolumesPruned;
use engine_client::ApiVersion;

use crate::commands::prune::{FILTER, FORCE, confirmed, reclaimed, report};
use crate::grammar::{Arity, Command, Exit, Failure, Flag, Matches};
use crate::options::filter;
use crate::output;
use crate::session::Session;

pub const COMMAND: Command = Command {
    paths: &["volume prune"],
    usage: "",
    about: "Remove unused volumes",
    flags: &[FLAGS],
    arity: Arity::None,
    stops_at_positional: false,
    run: |session, matches| Box::pin(run(session, matches)),
};

const FLAGS: &[Flag] =
    &[Flag::bool("all", "Remove all unused volumes, not only anonymous ones").short('a'), FILTER, FORCE];
/// Engines before this one remove all.
const ALL_SINCE: ApiVersion = ApiVersion { major: 1, minor: 42 };

async fn run(session: &Session, matches: &Matches) -> Result<Exit, Failure> {
    let all = matches.flag("all");
    let mut filters = matches.list("filter").to_vec();
    if all {
        session.engine.require("--all", ALL_SINCE).await?;
    }
    let old = session.engine.version().await? < ALL_SINCE;
    if all && !old {
        filters.push("all=true".to_owned());
    }
    let what = if all || old { "all local" } else { "anonymous local" };
    if !confirmed(
        matches,
        &format!("WARNING! This will remove {what} volumes not used by at least one container."),
    )? {
        return Ok(Exit::OK);
    }
    let pruned = prune(session, &filter::to_json(&filters)?).await?;
    output::print(
        report("Deleted Volumes:", &pruned.volumes_deleted.unwrap_or_default())
            + &reclaimed(pruned.space_reclaimed),
    )?;
    Ok(Exit::OK)
}

/// Removes volumes that nothing uses.
pub async fn prune(session: &Session, filters: &str) -> Result<VolumesPruned, engine_client::Error> {
    session.engine.post("/volumes/prune").query_some("filters", filters).fetch().await
}
