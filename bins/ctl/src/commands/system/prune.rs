//! `system prune`.

use engine_api::system::CachePruned;

use crate::commands::prune::{FORCE, confirmed, reclaimed, report};
use crate::commands::{container, image, network, volume};
use crate::grammar::{Arity, Command, Exit, Failure, Flag, Matches};
use crate::options::filter;
use crate::output;
use crate::session::Session;

pub const COMMAND: Command = Command {
    paths: &["system prune"],
    usage: "",
    about: "Remove what nothing uses",
    flags: &[FLAGS],
    arity: Arity::None,
    stops_at_positional: false,
    run: |session, matches| Box::pin(run(session, matches)),
};

const FLAGS: &[Flag] = &[
    Flag::bool("all", "Remove all unused images, not only untagged ones").short('a'),
    Flag::list("filter", "Only what fits (label=<key>=<value>)").value("filter").check(filter::check),
    FORCE,
    Flag::bool("volumes", "Remove anonymous volumes too"),
];

async fn run(session: &Session, matches: &Matches) -> Result<Exit, Failure> {
    let (all, volumes) = (matches.flag("all"), matches.flag("volumes"));
    if volumes && matches.list("filter").iter().any(|filter| filter.starts_with("until=")) {
        return Err(Failure::new("ERROR: The \"until\" filter is not supported with \"--volumes\""));
    }
    let mut warning = "WARNING! This will remove:\n  - all stopped containers\n  - all networks not used by at least one container\n".to_owned();
    if volumes {
        warning.push_str("  - all anonymous volumes not used by at least one container\n");
    }
    warning.push_str(if all {
        "  - all images without at least one container associated to them\n"
    } else {
        "  - all dangling images\n"
    });
    warning.push_str("  - unused build cache\n");
    if !confirmed(matches, &warning)? {
        return Ok(Exit::OK);
    }
    let filters = filter::to_json(matches.list("filter"))?;
    let mut space = 0;
    let pruned = container::prune::prune(session, &filters).await?;
    space += pruned.space_reclaimed;
    output::print(report("Deleted Containers:", &pruned.containers_deleted.unwrap_or_default()))?;
    let pruned = network::prune::prune(session, &filters).await?;
    output::print(report("Deleted Networks:", &pruned.networks_deleted.unwrap_or_default()))?;
    if volumes {
        let pruned = volume::prune::prune(session, &filters).await?;
        space += pruned.space_reclaimed;
        output::print(report("Deleted Volumes:", &pruned.volumes_deleted.unwrap_or_default()))?;
    }
    let pruned = image::prune::prune(session, matches.list("filter"), all).await?;
    space += pruned.space_reclaimed;
    let lines: Vec<String> = pruned
        .images_deleted
        .iter()
        .flatten()
        .map(|row| {
            if row.deleted.is_empty() {
                format!("untagged: {}", row.untagged)
            } else {
                format!("deleted: {}", row.deleted)
            }
        })
        .collect();
    output::print(report("Deleted Images:", &lines))?;
    let request = session.engine.post("/build/prune").query_flag("all", all).query_some("filters", &filters);
    match request.fetch::<CachePruned>().await {
        Ok(pruned) => {
            space += pruned.space_reclaimed;
            output::print(report(
                "Deleted build cache objects:",
                &pruned.caches_deleted.unwrap_or_default(),
            ))?;
        }
        // An engine that does not build has no cache.
        Err(error) if matches!(error.status(), Some(404 | 501)) => {}
        Err(error) => return Err(error.into()),
    }
    output::print(reclaimed(space))?;
    Ok(Exit::OK)
}
