//! `inspect` of any object.

use crate::commands::inspecting::{self, FORMAT};
use crate::grammar::{Arity, Command, Exit, Failure, Flag, Matches};
use crate::output::inspect;
use crate::session::Session;

pub const COMMAND: Command = Command {
    paths: &["inspect"],
    usage: "NAME|ID [NAME|ID...]",
    about: "Show all about containers, images, networks or volumes",
    flags: &[FLAGS],
    arity: Arity::AtLeast(1),
    stops_at_positional: false,
    run: |session, matches| Box::pin(run(session, matches)),
};

const FLAGS: &[Flag] = &[
    FORMAT,
    Flag::bool("size", "Show the sizes of containers").short('s'),
    Flag::text("type", "Only objects of this type: container, image, network or volume"),
];

const TYPES: &[&str] = &["container", "image", "network", "volume"];

async fn run(session: &Session, matches: &Matches) -> Result<Exit, Failure> {
    let wanted = matches.text_or_empty("type");
    if matches.changed("type") && !TYPES.contains(&wanted) {
        return Err(match wanted {
            "" => Failure::new("type is empty: must be one of \"container\", \"image\", \"network\", \"volume\""),
            _ => Failure::new(format!("unknown type: {wanted:?}: must be one of \"container\", \"image\", \"network\", \"volume\"")),
        });
    }
    let request = |kind: &str, name: &str| match kind {
        "container" => session.engine.get(&format!("/containers/{name}/json")).query_flag("size", matches.flag("size")),
        "image" => session.engine.get(&format!("/images/{name}/json")),
        "network" => session.engine.get(&format!("/networks/{name}")),
        _ => session.engine.get(&format!("/volumes/{name}")),
    };
    if !wanted.is_empty() {
        return inspecting::each(matches, |name| request(wanted, name)).await;
    }
    let mut objects = Vec::new();
    let mut errors = Vec::new();
    for name in &matches.args {
        match inspecting::first(TYPES.iter().map(|kind| request(kind, name)).collect()).await? {
            Some(object) => objects.push(object),
            None => errors.push(format!("Error: No such object: {name}")),
        }
    }
    inspect::show(&objects, &errors, matches.text("format"))
}
