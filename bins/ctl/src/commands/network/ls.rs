//! `network ls`.

use engine_api::network::Network;

use crate::commands::listing::{FILTER, FORMAT, Listing, NO_TRUNC, joined, short_id};
use crate::grammar::{Arity, Command, Exit, Failure, Flag, Matches};
use crate::options::filter;
use crate::output::{Row, cell, labelled, time};
use crate::session::Session;

pub const COMMAND: Command = Command {
    paths: &["network ls", "network list"],
    usage: "",
    about: "List networks",
    flags: &[FLAGS],
    arity: Arity::None,
    stops_at_positional: false,
    run: |session, matches| Box::pin(run(session, matches)),
};

const FLAGS: &[Flag] = &[FILTER, FORMAT, NO_TRUNC, Flag::bool("quiet", "Show only IDs").short('q')];
const TABLE: &str = "{{.ID}}\t{{.Name}}\t{{.Driver}}\t{{.Scope}}";
const RAW: (&str, &str) = (
    "network_id: {{.ID}}\\nname: {{.Name}}\\ndriver: {{.Driver}}\\nscope: {{.Scope}}\\n",
    "network_id: {{.ID}}",
);
const COLUMNS: &[(&str, &str)] = &[
    ("ID", "NETWORK ID"),
    ("Name", "NAME"),
    ("Driver", "DRIVER"),
    ("Scope", "SCOPE"),
    ("IPv4", "IPV4"),
    ("IPv6", "IPV6"),
    ("Internal", "INTERNAL"),
    ("Labels", "LABELS"),
    ("CreatedAt", "CREATED AT"),
];

async fn run(session: &Session, matches: &Matches) -> Result<Exit, Failure> {
    let filters = filter::to_json(matches.list("filter"))?;
    let networks = session
        .engine
        .get("/networks")
        .query_some("filters", filters)
        .fetch::<Option<Vec<Network>>>()
        .await?;
    let mut networks = networks.unwrap_or_default();
    networks.sort_by(|a, b| a.name.cmp(&b.name));
    let whole = matches.flag("no-trunc");
    let rows: Vec<Row> = networks.iter().map(|network| row(network, whole)).collect();
    Listing { columns: COLUMNS, table: TABLE, quiet: "{{.ID}}", setting: "networksFormat", raw: RAW }
        .print(session, matches, &rows)?;
    Ok(Exit::OK)
}

fn row(network: &Network, whole: bool) -> Row {
    let mut row = Row::new();
    cell(&mut row, "ID", if whole { &network.id } else { short_id(&network.id) });
    cell(&mut row, "Name", &*network.name);
    cell(&mut row, "Driver", &*network.driver);
    cell(&mut row, "Scope", &*network.scope);
    cell(&mut row, "IPv4", network.enable_ipv4.to_string());
    cell(&mut row, "IPv6", network.enable_ipv6.to_string());
    cell(&mut row, "Internal", network.internal.to_string());
    cell(&mut row, "Labels", joined(network.labels.iter().flatten()));
    cell(&mut row, "CreatedAt", time::go_string_of(&network.created));
    labelled(&mut row, &network.labels.clone().unwrap_or_default());
    row
}
