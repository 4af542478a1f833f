//! `ps`, `container ls`.

use engine_api::container::Summary;
use engine_api::image::Platform;
use gotmpl::Value;
use reference::Reference;

use crate::commands::container::port_ranges;
use crate::commands::listing::{FILTER, FORMAT, Listing, NO_TRUNC, ellipsis, joined, short_id};
use crate::grammar::{Arity, Command, Exit, Failure, Flag, Matches};
use crate::options::filter;
use crate::output::{self, Fault, Row, cell, inspect, labelled, time, units};
use crate::session::Session;

pub const COMMAND: Command = Command {
    paths: &["container ls", "container list", "container ps", "ps"],
    usage: "",
    about: "List containers",
    flags: &[FLAGS],
    arity: Arity::None,
    stops_at_positional: false,
    run: |session, matches| Box::pin(run(session, matches)),
};

const FLAGS: &[Flag] = &[
    Flag::bool("all", "Show all containers, not only the running ones").short('a'),
    FILTER,
    FORMAT,
    Flag::int("last", "Show the last n created, in any state").short('n').default("-1"),
    Flag::bool("latest", "Show the last created, in any state").short('l'),
    NO_TRUNC,
    Flag::bool("quiet", "Show only IDs").short('q'),
    Flag::bool("size", "Show sizes").short('s'),
];

const TABLE: &str = "{{.ID}}\t{{.Image}}\t{{.Command}}\t{{.RunningFor}}\t{{.Status}}\t{{.Ports}}\t{{.Names}}";
const TABLE_WITH_SIZE: &str =
    "{{.ID}}\t{{.Image}}\t{{.Command}}\t{{.RunningFor}}\t{{.Status}}\t{{.Ports}}\t{{.Names}}\t{{.Size}}";
const RAW: (&str, &str) = (
    "container_id: {{.ID}}\\nimage: {{.Image}}\\ncommand: {{.Command}}\\ncreated_at: {{.CreatedAt}}\\nstate: {{.State}}\\nstatus: {{.Status}}\\nnames: {{.Names}}\\nlabels:{{pad .Labels 1 0}}\\nports:{{pad .Ports 1 0}}\\n",
    "container_id: {{.ID}}",
);
const RAW_WITH_SIZE: (&str, &str) = (
    "container_id: {{.ID}}\\nimage: {{.Image}}\\ncommand: {{.Command}}\\ncreated_at: {{.CreatedAt}}\\nstate: {{.State}}\\nstatus: {{.Status}}\\nnames: {{.Names}}\\nlabels:{{pad .Labels 1 0}}\\nports:{{pad .Ports 1 0}}\\nsize: {{.Size}}\\n",
    "container_id: {{.ID}}",
);
const COLUMNS: &[(&str, &str)] = &[
    ("ID", "CONTAINER ID"),
    ("Names", "NAMES"),
    ("Image", "IMAGE"),
    ("Command", "COMMAND"),
    ("CreatedAt", "CREATED AT"),
    ("RunningFor", "CREATED"),
    ("Ports", "PORTS"),
    ("State", "STATE"),
    ("Status", "STATUS"),
    ("Size", "SIZE"),
    ("Labels", "LABELS"),
    ("Mounts", "MOUNTS"),
    ("LocalVolumes", "LOCAL VOLUMES"),
    ("Networks", "NETWORKS"),
    ("Platform", "PLATFORM"),
];

async fn run(session: &Session, matches: &Matches) -> Result<Exit, Failure> {
    let last = matches.int("last").unwrap_or(-1);
    let limit = if matches.flag("latest") && last == -1 { 1 } else { last };
    let format = matches.text_or_empty("format");
    let size = matches.flag("size")
        || format.contains(".Size")
        || format.contains("json .}")
        || format.contains("json . }");
    let mut request = session.engine.get("/containers/json").query_flag("all", matches.flag("all"));
    if limit > 0 {
        request = request.query("limit", limit.to_string());
    }
    let filters = filter::to_json(matches.list("filter"))?;
    let containers: Vec<Summary> =
        request.query_flag("size", size).query_some("filters", filters).fetch().await?;
    let whole = matches.flag("no-trunc");
    let mut rows: Vec<Row> = containers.iter().map(|container| row(container, whole)).collect();
    if format.contains("json") {
        for (row, container) in rows.iter_mut().zip(&containers) {
            // As text a platform is a word, as JSON an object.
            if let Some(platform) = platform(container) {
                row.insert("Platform".into(), inspect::value_of(&serde_json::to_value(platform)?));
            }
        }
    }
    let (table, raw) = if matches.flag("size") { (TABLE_WITH_SIZE, RAW_WITH_SIZE) } else { (TABLE, RAW) };
    let listing = Listing { columns: COLUMNS, table, quiet: "{{.ID}}", setting: "psFormat", raw };
    if matches.flag("quiet") && !format.is_empty() {
        output::note("WARNING: Ignoring custom format, because both --format and --quiet are set.");
    }
    output::print(listing.shown(session, matches, &rows).map_err(worded)?)?;
    Ok(Exit::OK)
}

/// Docker words a bad template of this one list in its own way.
fn worded(fault: Fault) -> Failure {
    let stage = if fault.is_of_syntax { "failed to parse template" } else { "failed to execute template" };
    fault.worded(stage)
}

/// Fields of a container.
pub fn row(container: &Summary, whole: bool) -> Row {
    let mut row = Row::new();
    let cells = &mut row;
    cell(cells, "ID", if whole { &container.id } else { short_id(&container.id) });
    cell(cells, "Names", names(container, whole));
    cell(cells, "Image", image(container, whole));
    let command = if whole { container.command.clone() } else { ellipsis(&container.command, 20) };
    cell(cells, "Command", format!("{command:?}"));
    cell(cells, "CreatedAt", time::go_string(container.created));
    cell(cells, "RunningFor", format!("{} ago", units::human_duration(time::now() - container.created)));
    cell(cells, "Ports", port_ranges::shown(&container.ports));
    cell(cells, "State", &*container.state);
    cell(cells, "Status", &*container.status);
    cell(cells, "Size", size(container));
    cell(cells, "Labels", joined(&container.labels));
    let mounts = container.mounts.iter().map(|mount| {
        let name = if mount.name.is_empty() { &mount.source } else { &mount.name };
        if whole { name.clone() } else { ellipsis(name, 15) }
    });
    cell(cells, "Mounts", mounts.collect::<Vec<_>>().join(","));
    cell(
        cells,
        "LocalVolumes",
        container.mounts.iter().filter(|mount| mount.driver == "local").count().to_string(),
    );
    let networks: Vec<&str> = container.network_settings.networks.keys().map(String::as_str).collect();
    cell(cells, "Networks", networks.join(","));
    row.insert(
        "Platform".into(),
        platform(container).map_or(Value::Nil, |one| Value::String(shown(one).into())),
    );
    labelled(&mut row, &container.labels);
    row
}

/// What the container's image was made for, where the engine tells.
fn platform(container: &Summary) -> Option<&Platform> {
    container.image_manifest_descriptor.as_ref()?.platform.as_ref()
}

fn shown(platform: &Platform) -> String {
    let parts = [&platform.os, &platform.architecture, &platform.variant];
    let parts: Vec<&str> = parts.into_iter().map(String::as_str).filter(|part| !part.is_empty()).collect();
    parts.join("/")
}

fn names(container: &Summary, whole: bool) -> String {
    let names = container.names.iter().map(|name| name.strip_prefix('/').unwrap_or(name));
    names.filter(|name| whole || !name.contains('/')).collect::<Vec<_>>().join(",")
}

fn image(container: &Summary, whole: bool) -> String {
    if container.image.is_empty() {
        return "<no image>".to_owned();
    }
    if whole {
        return container.image.clone();
    }
    if short_id(&container.image_id) == short_id(&container.image) {
        return short_id(&container.image).to_owned();
    }
    match Reference::parse_normalized(&container.image) {
        Ok(name) if name.tag().is_some() && name.digest().is_some() => {
            format!("{}:{}", name.familiar_name(), name.tag().unwrap_or_default())
        }
        _ => container.image.clone(),
    }
}

fn size(container: &Summary) -> String {
    let own = units::human_size_3(container.size_rw as f64);
    if container.size_root_fs > 0 {
        format!("{own} (virtual {})", units::human_size_3(container.size_root_fs as f64))
    } else {
        own
    }
}
