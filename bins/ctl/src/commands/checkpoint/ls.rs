//! `checkpoint ls`.

use serde::Deserialize;

use super::{DIRECTORY, require_experimental};
use crate::grammar::{Arity, Command, Exit, Failure, Flag, Matches};
use crate::output::{self, Format, Row, cell};
use crate::session::Session;

pub const COMMAND: Command = Command {
    paths: &["checkpoint ls", "checkpoint list"],
    usage: "CONTAINER",
    about: "List the checkpoints of a container",
    flags: &[FLAGS],
    arity: Arity::Exactly(1),
    stops_at_positional: false,
    run: |session, matches| Box::pin(run(session, matches)),
};

const FLAGS: &[Flag] = &[DIRECTORY];

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Checkpoint {
    name: String,
}

async fn run(session: &Session, matches: &Matches) -> Result<Exit, Failure> {
    require_experimental(&session.engine, &matches.path).await?;
    let request = session.engine.get(&format!("/containers/{}/checkpoints", matches.arg(0)));
    let found: Option<Vec<Checkpoint>> =
        request.query_some("dir", matches.text_or_empty("checkpoint-dir")).fetch().await?;
    let row = |checkpoint: Checkpoint| {
        let mut row = Row::new();
        cell(&mut row, "Name", checkpoint.name);
        row
    };
    let rows: Vec<Row> = found.into_iter().flatten().map(row).collect();
    output::print(Format::parse("", "{{.Name}}").render(&[("Name", "CHECKPOINT NAME")], &rows)?)?;
    Ok(Exit::OK)
}
