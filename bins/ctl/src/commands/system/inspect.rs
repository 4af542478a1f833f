//! `inspect` of any object.

use engine_client::Request;

use crate::commands::inspecting::{self, FORMAT};
use crate::grammar::{Arity, Command, Exit, Failure, Flag, Matches};
use crate::output::{self, inspect};
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
    Flag::text("type", "Only objects of this type: container, image, network, volume, ..."),
];

/// Docker's types, and where each is asked for.
const TYPES: &[(&str, &str)] = &[
    ("config", "/configs/"),
    ("container", "/containers/"),
    ("image", "/images/"),
    ("network", "/networks/"),
    ("node", "/nodes/"),
    ("plugin", "/plugins/"),
    ("secret", "/secrets/"),
    ("service", "/services/"),
    ("task", "/tasks/"),
    ("volume", "/volumes/"),
];
/// Those that are looked for without `--type`, in this order.
const ANY: &[&str] = &["container", "image", "network", "volume"];

async fn run(session: &Session, matches: &Matches) -> Result<Exit, Failure> {
    let wanted = matches.text_or_empty("type");
    if matches.changed("type") && !TYPES.iter().any(|(name, _)| *name == wanted) {
        let known: Vec<String> = TYPES.iter().map(|(name, _)| format!("{name:?}")).collect();
        let complaint =
            if wanted.is_empty() { "type is empty".to_owned() } else { format!("unknown type: {wanted:?}") };
        return Err(Failure::new(format!("{complaint}: must be one of {}", known.join(", "))));
    }
    if !wanted.is_empty() {
        return inspecting::each(matches, |name| request(session, matches, wanted, name)).await;
    }
    let mut objects = Vec::new();
    let mut errors = Vec::new();
    for name in &matches.args {
        match inspecting::first(ANY.iter().map(|kind| request(session, matches, kind, name)).collect()).await
        {
            Ok(Some((at, object))) => {
                if at > 0 && matches.flag("size") {
                    output::note(format!("WARNING: --size ignored for {}", ANY[at]));
                }
                objects.push(object);
            }
            Ok(None) => errors.push(format!("Error: No such object: {name}")),
            Err(error) => {
                output::println("[]")?;
                return Err(error.into());
            }
        }
    }
    inspect::show(&objects, &errors, matches.text("format"))
}

fn request<'a>(session: &'a Session, matches: &Matches, kind: &str, name: &str) -> Request<'a> {
    let path = TYPES.iter().find(|(known, _)| *known == kind).map_or("/", |(_, path)| path);
    match kind {
        "container" => {
            session.engine.get(&format!("{path}{name}/json")).query_flag("size", matches.flag("size"))
        }
        "image" | "plugin" => session.engine.get(&format!("{path}{name}/json")),
        _ => session.engine.get(&format!("{path}{name}")),
    }
}
