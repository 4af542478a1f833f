//! `top`.

use engine_api::container::Top;

use crate::grammar::{Arity, Command, Exit, Failure, Matches};
use crate::output::{self, align};
use crate::session::Session;

pub const COMMAND: Command = Command {
    paths: &["container top", "top"],
    usage: "CONTAINER [ps OPTIONS]",
    about: "Show the processes of a container",
    flags: &[],
    arity: Arity::AtLeast(1),
    stops_at_positional: true,
    run: |session, matches| Box::pin(run(session, matches)),
};

async fn run(session: &Session, matches: &Matches) -> Result<Exit, Failure> {
    let request = session.engine.get(&format!("/containers/{}/top", matches.arg(0)));
    let top: Top = request.query_some("ps_args", matches.args[1..].join(" ")).fetch().await?;
    let mut lines = vec![top.titles.join("\t")];
    lines.extend(top.processes.iter().map(|process| process.join("\t")));
    output::print(align(&(lines.join("\n") + "\n"), 20))?;
    Ok(Exit::OK)
}
