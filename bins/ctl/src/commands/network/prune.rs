//! `network prune`.

use engine_api::network::NetworksPruned;

use crate::commands::prune::{FILTER, FORCE, confirmed, report};
use crate::grammar::{Arity, Command, Exit, Failure, Flag, Matches};
use crate::options::filter;
use crate::output;
use crate::session::Session;

pub const COMMAND: Command = Command {
    paths: &["network prune"],
    usage: "",
    about: "Remove all unused networks",
    flags: &[FLAGS],
    arity: Arity::None,
    stops_at_positional: false,
    run: |session, matches| Box::pin(run(session, matches)),
};

const FLAGS: &[Flag] = &[FILTER, FORCE];

async fn run(session: &Session, matches: &Matches) -> Result<Exit, Failure> {
    if !confirmed(
        matches,
        "WARNING! This will remove all custom networks not used by at least one container.",
    )? {
        return Ok(Exit::OK);
    }
    let pruned = prune(session, &filter::to_json(matches.list("filter"))?).await?;
    output::print(report("Deleted Networks:", &pruned.networks_deleted.unwrap_or_default()))?;
    Ok(Exit::OK)
}

/// Removes networks that nothing uses.
pub async fn prune(session: &Session, filters: &str) -> Result<NetworksPruned, engine_client::Error> {
    session.engine.post("/networks/prune").query_some("filters", filters).fetch().await
}
