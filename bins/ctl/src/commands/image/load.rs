//! `load`.

use std::io::{self, IsTerminal};

use crate::grammar::{Arity, Command, Exit, Failure, Flag, Matches};
use crate::options::environment::os_text;
use crate::options::platform::platform_json;
use crate::output::progress::{self, Sink};
use crate::session::Session;

pub const COMMAND: Command = Command {
    paths: &["image load", "load"],
    usage: "",
    about: "Load images from a tar archive or stdin",
    flags: &[FLAGS],
    arity: Arity::None,
    stops_at_positional: false,
    run: |session, matches| Box::pin(run(session, matches)),
};

const FLAGS: &[Flag] = &[
    Flag::text("input", "Archive to read, instead of stdin").short('i'),
    Flag::text("platform", "Load only this platform").since(48),
    Flag::bool("quiet", "Do not show progress").short('q'),
];

async fn run(session: &Session, matches: &Matches) -> Result<Exit, Failure> {
    let quiet = matches.flag("quiet") || !io::stdout().is_terminal();
    let request = session
        .engine
        .post("/images/load")
        .query("quiet", if quiet { "1" } else { "0" })
        .query_some("platform", &platform_json(matches.text_or_empty("platform"))?);
    let request = match matches.text("input") {
        Some(path) => {
            let file = std::fs::File::open(path)
                .map_err(|error| Failure::new(format!("open {path}: {}", os_text(&error))))?;
            request.body("application/x-tar", tokio::fs::File::from_std(file))
        }
        None if io::stdin().is_terminal() => {
            return Err(Failure::new("requested load from stdin, but stdin is empty"));
        }
        None => request.body("application/x-tar", tokio::io::stdin()),
    };
    progress::show(request.json_lines().await?, Sink::Stdout).await?;
    Ok(Exit::OK)
}
