//! `volume ls`.

use engine_api::volume::{Volume, VolumeList};

use crate::commands::listing::{FILTER, FORMAT, Listing, joined};
use crate::grammar::{Arity, Command, Exit, Failure, Flag, Matches};
use crate::options::filter;
use crate::output::{Row, cell, labelled, units};
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
const TABLE_OF_CLUSTER: &str = "{{.Name}}\t{{.Group}}\t{{.Driver}}\t{{.Availability}}\t{{.Status}}";
const RAW: (&str, &str) = ("name: {{.Name}}\\ndriver: {{.Driver}}\\n", "name: {{.Name}}");
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
    if matches.flag("cluster") {
        // Only a swarm has such volumes, and there is none here.
        volumes.clear();
    }
    volumes.sort_by(|a, b| a.name.cmp(&b.name));
    let rows: Vec<Row> = volumes.iter().map(row).collect();
    let table = if matches.flag("cluster") { TABLE_OF_CLUSTER } else { TABLE };
    Listing { columns: COLUMNS, table, quiet: "{{.Name}}", setting: "volumesFormat", raw: RAW }
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
    labelled(&mut row, &volume.labels.clone().unwrap_or_default());
    row
}
