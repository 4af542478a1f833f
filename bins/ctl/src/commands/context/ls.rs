//! `context ls`.

use engine_client::{Context, Contexts};
use gotmpl::Value;

use crate::commands::context::default_context;
use crate::commands::listing::{FORMAT, Listing, NO_RAW, ellipsis};
use crate::grammar::{Arity, Command, Exit, Failure, Flag, Matches};
use crate::output::{Row, cell};
use crate::session::Session;

pub const COMMAND: Command = Command {
    paths: &["context ls", "context list"],
    usage: "",
    about: "List contexts",
    flags: &[FLAGS],
    arity: Arity::None,
    stops_at_positional: false,
    run: |session, matches| Box::pin(run(session, matches)),
};

const FLAGS: &[Flag] = &[FORMAT, Flag::bool("quiet", "Show only names").short('q')];
const TABLE: &str = "{{.Name}}{{if .Current}} *{{end}}\t{{.Description}}\t{{.DockerEndpoint}}\t{{.Error}}";
const COLUMNS: &[(&str, &str)] = &[
    ("Name", "NAME"),
    ("Description", "DESCRIPTION"),
    ("DockerEndpoint", "DOCKER ENDPOINT"),
    ("Error", "ERROR"),
    ("Current", ""),
];

async fn run(session: &Session, matches: &Matches) -> Result<Exit, Failure> {
    let mut contexts = Contexts::new(session.config.directory()).list()?;
    contexts.push(default_context());
    contexts.sort_by(|a, b| a.name.cmp(&b.name));
    let rows: Vec<Row> = contexts.iter().map(|context| row(context, session)).collect();
    Listing { columns: COLUMNS, table: TABLE, quiet: "{{.Name}}", setting: "", raw: NO_RAW }
        .print(session, matches, &rows)?;
    if std::env::var("DOCKER_HOST").is_ok_and(|host| !host.is_empty()) {
        crate::output::note(
            "Warning: DOCKER_HOST environment variable overrides the active context. To use a context, either set the global --context flag, or unset DOCKER_HOST environment variable.",
        );
    }
    Ok(Exit::OK)
}

fn row(context: &Context, session: &Session) -> Row {
    let mut row = Row::new();
    cell(&mut row, "Name", &*context.name);
    cell(&mut row, "Description", ellipsis(context.description(), 60));
    cell(&mut row, "DockerEndpoint", context.docker_host());
    cell(&mut row, "Error", "");
    row.insert("Current".into(), Value::Bool(context.name == session.context));
    row
}
