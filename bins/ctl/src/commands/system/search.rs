//! `search`.

use engine_api::image::SearchRow;
use engine_client::{Credentials, HUB_SERVER, auth_header};

use crate::commands::listing::{FILTER, Listing, NO_RAW, NO_TRUNC, ellipsis};
use crate::grammar::{Arity, Command, Exit, Failure, Flag, Matches};
use crate::options::filter;
use crate::output::{Row, cell};
use crate::session::Session;

pub const COMMAND: Command = Command {
    paths: &["search"],
    usage: "TERM",
    about: "Search Docker Hub for images",
    flags: &[FLAGS],
    arity: Arity::Exactly(1),
    stops_at_positional: false,
    run: |session, matches| Box::pin(run(session, matches)),
};

const FLAGS: &[Flag] = &[
    FILTER,
    Flag::text("format", "Go template to show with"),
    Flag::int("limit", "Largest number of results"),
    NO_TRUNC,
];
const TABLE: &str = "{{.Name}}\t{{.Description}}\t{{.StarCount}}\t{{.IsOfficial}}";
const COLUMNS: &[(&str, &str)] = &[
    ("Name", "NAME"),
    ("Description", "DESCRIPTION"),
    ("StarCount", "STARS"),
    ("IsOfficial", "OFFICIAL"),
    ("IsAutomated", "AUTOMATED"),
];

async fn run(session: &Session, matches: &Matches) -> Result<Exit, Failure> {
    let mut config = session.config.clone();
    let auth = auth_header(&Credentials::new(&mut config).get(HUB_SERVER)?);
    let results: Vec<SearchRow> = session
        .engine
        .get("/images/search")
        .query("term", matches.arg(0))
        .query_some("limit", matches.text_or_empty("limit"))
        .query_some("filters", filter::to_json(matches.list("filter"))?)
        .header("X-Registry-Auth", &auth)
        .fetch()
        .await?;
    let whole = matches.flag("no-trunc");
    let rows: Vec<Row> = results.iter().map(|result| row(result, whole)).collect();
    Listing { columns: COLUMNS, table: TABLE, quiet: "", setting: "", raw: NO_RAW }
        .print(session, matches, &rows)?;
    Ok(Exit::OK)
}

fn row(result: &SearchRow, whole: bool) -> Row {
    let mut row = Row::new();
    let mark = |set: bool| if set { "[OK]" } else { "" };
    cell(&mut row, "Name", &*result.name);
    let description = result.description.replace(['\n', '\r'], " ");
    cell(&mut row, "Description", if whole { description } else { ellipsis(&description, 45) });
    cell(&mut row, "StarCount", result.star_count.to_string());
    cell(&mut row, "IsOfficial", mark(result.is_official));
    cell(&mut row, "IsAutomated", mark(result.is_automated));
    row
}
