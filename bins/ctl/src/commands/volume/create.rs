//! `volume create`.

use engine_api::volume::{Volume, VolumeCreate};

use crate::grammar::{Arity, Command, Exit, Failure, Flag, Matches};
use crate::options::environment::{check_label, pairs};
use crate::output;
use crate::session::Session;

pub const COMMAND: Command = Command {
    paths: &["volume create"],
    usage: "[VOLUME]",
    about: "Create a volume",
    flags: &[FLAGS],
    arity: Arity::AtMost(1),
    stops_at_positional: false,
    run: |session, matches| Box::pin(run(session, matches)),
};

const FLAGS: &[Flag] = &[
    Flag::text("availability", "Availability of a cluster volume").default("active").check(cluster),
    Flag::text("driver", "Driver of the volume").short('d').default("local"),
    Flag::text("group", "Group of a cluster volume").check(cluster),
    Flag::list("label", "Label the volume").check(check_label),
    Flag::bytes("limit-bytes", "Smallest size of a cluster volume").check(cluster),
    Flag::text("name", "Name of the volume").hidden(),
    Flag::list("opt", "Option of the driver").short('o').value("map"),
    Flag::bytes("required-bytes", "Largest size of a cluster volume").check(cluster),
    Flag::text("scope", "Access scope of a cluster volume").default("single").check(cluster),
    Flag::list("secret", "Secret of a cluster volume").value("map").check(cluster),
    Flag::text("sharing", "Access sharing of a cluster volume").default("none").check(cluster),
    Flag::list("topology-preferred", "Where a cluster volume had better be").check(cluster),
    Flag::list("topology-required", "Where a cluster volume must be").check(cluster),
    Flag::text("type", "Access type of a cluster volume").default("block").check(cluster),
];

/// Cluster volumes are swarm's, which neither this program nor its engine is part of.
fn cluster(_: &str) -> Result<(), String> {
    Err("cluster volumes need swarm, which this program does not manage".to_owned())
}

async fn run(session: &Session, matches: &Matches) -> Result<Exit, Failure> {
    let named = matches.text("name");
    if named.is_some() && !matches.args.is_empty() {
        return Err(Failure::new(
            "conflicting options: cannot specify a volume-name through both --name and as a positional arg",
        ));
    }
    let body = VolumeCreate {
        name: named.unwrap_or(matches.arg(0)).to_owned(),
        driver: matches.text("driver").unwrap_or("local").to_owned(),
        driver_opts: pairs(matches.list("opt")),
        labels: pairs(matches.list("label")),
    };
    let volume: Volume = session.engine.post("/volumes/create").json(&body)?.fetch().await?;
    output::println(volume.name)?;
    Ok(Exit::OK)
}
