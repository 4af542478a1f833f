//! `container prune`.

use engine_api::container::ContainersPruned;

use crate::commands::prune::{FILTER, FORCE, confirmed, reclaimed, report};
use crate::grammar::{Arity, Command, Exit, Failure, Flag, Matches};
use crate::options::filter;
use crate::output;
use crate::session::Session;

pub const COMMAND: Command = Command {
    paths: &["container prune"],
    usage: "",
    about: "Remove all stopped containers",
    flags: &[FLAGS],
    arity: Arity::None,
    stops_at_positional: false,
    run: |session, matches| Box::pin(run(session, matches)),
};

const FLAGS: &[Flag] = &[FILTER, FORCE];

async fn run(session: &Session, matches: &Matches) -> Result<Exit, Failure> {
    if !confirmed(matches, "WARNING! This will remove all stopped containers.")? {
        return Ok(Exit::OK);
    }
    let filters = filter::to_json(matches.list("filter"))?;
    let pruned = prune(session, &filters).await?;
    output::print(
        report("Deleted Containers:", &pruned.containers_deleted.unwrap_or_default())
            + &reclaimed(pruned.space_reclaimed),
    )?;
    Ok(Exit::OK)
}

/// Removes stopped containers.
pub async fn prune(session: &Session, filters: &str) -> Result<ContainersPruned, engine_client::Error> {
    session.engine.post("/containers/prune").query_some("filters", filters).fetch().await
}
