//! `volume ls`.

use std::sync::Arc;

use engine_api::volume::{Volume, VolumeList};
use gotmpl::Value;

use crate::commands::listing::{FILTER, FORMAT, Listing, joined};
use crate::grammar::{Arity, Command, Exit, Failure, Flag, Matches};
use crate::options::filter;
use crate::output::{Row, cell, units};
use crate::session::Session;

pub const COMMAND: Command = Command {
    paths: &["volume ls", "volume list"],
    usage: "",
    about: "List volumes",
    flags: &[FLAGS],
    arity: Arity::None,
    stops_at_positional: false,
    run: |session, matches| Box::pin(run(session, matches)),
};

const FLAGS: &[Flag] = &[
    Flag::bool("cluster", "Show only cluster volumes"),
    FILTER,
    FORMAT,
    Flag::bool("quiet", "Show only names").short('q'),
];
const TABLE: &str = "{{.Driver}}\t{{.Name}}";
const COLUMNS: &[(&str, &str)] = &[
    ("Name", "VOLUME NAME"),
    ("Driver", "DRIVER"),
    ("Scope", "SCOPE"),
    ("Mountpoint", "MOUNTPOINT"),
    ("Links", "LINKS"),
    ("Labels", "LABELS"),
    ("Size", "SIZE"),
    ("Availability", "AVAILABILITY"),
    ("Group", "GROUP"),
    ("Status", "STATUS"),
];

async fn run(session: &Session, matches: &Matches) -> Result<Exit, Failure> {
    let filters = filter::to_json(matches.list("filter"))?;
    let list: VolumeList = session.engine.get("/volumes").query_some("filters", filters).fetch().await?;
    let mut volumes = list.volumes.unwrap_or_default();
    volumes.sort_by(|a, b| a.name.cmp(&b.name));
    let rows: Vec<Row> = volumes.iter().map(row).collect();
    Listing { columns: COLUMNS, table: TABLE, quiet: "{{.Name}}", setting: "volumesFormat" }
        .print(session, matches, &rows)?;
    for warning in list.warnings.unwrap_or_default() {
        crate::output::note(format!("WARNING: {warning}"));
    }
    Ok(Exit::OK)
}

/// Fields of a volume.
pub fn row(volume: &Volume) -> Row {
    let mut row = Row::new();
    cell(&mut row, "Name", &*volume.name);
    cell(&mut row, "Driver", &*volume.driver);
    cell(&mut row, "Scope", &*volume.scope);
    cell(&mut row, "Mountpoint", &*volume.mountpoint);
    let usage = volume.usage_data.as_ref();
    cell(&mut row, "Links", usage.map_or("N/A".to_owned(), |usage| usage.ref_count.to_string()));
    cell(&mut row, "Labels", joined(volume.labels.iter().flatten()));
    cell(&mut row, "Size", usage.map_or("N/A".to_owned(), |usage| units::human_size(usage.size as f64)));
    for name in ["Availability", "Group", "Status"] {
        cell(&mut row, name, "N/A");
    }
    let labels = volume.labels.clone().unwrap_or_default();
    let label = move |args: &[Value]| {
        let name = args.first().map(ToString::to_string).unwrap_or_default();
        Ok(Value::String(labels.get(&name).cloned().unwrap_or_default().into()))
    };
    row.insert("Label".into(), Value::Function(Arc::new(label)));
    row
}
