//! `volume create`.

use engine_api::volume::{Volume, VolumeCreate};

use crate::grammar::{Arity, Command, Exit, Failure, Flag, Matches};
use crate::options::environment::pairs;
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
    Flag::text("driver", "Driver of the volume").short('d').default("local"),
    Flag::list("label", "Label the volume"),
    Flag::text("name", "Name of the volume").hidden(),
    Flag::list("opt", "Option of the driver").short('o').value("map"),
];

async fn run(session: &Session, matches: &Matches) -> Result<Exit, Failure> {
    let named = matches.text("name");
    if named.is_some() && !matches.args.is_empty() {
        return Err(Failure::new("conflicting options: cannot specify a volume-name through both --name and as a positional arg"));
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
