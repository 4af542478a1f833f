//! `history`.

use engine_api::image::HistoryRow;

use crate::commands::listing::{FORMAT, Listing, NO_RAW, NO_TRUNC, ellipsis, short_id};
use crate::grammar::{Arity, Command, Exit, Failure, Flag, Matches};
use crate::options::platform::platform_json;
use crate::output::{Row, cell, time, units};
use crate::session::Session;

pub const COMMAND: Command = Command {
    paths: &["image history", "history"],
    usage: "IMAGE",
    about: "Show how an image was made",
    flags: &[FLAGS],
    arity: Arity::Exactly(1),
    stops_at_positional: false,
    run: |session, matches| Box::pin(run(session, matches)),
};

const FLAGS: &[Flag] = &[
    FORMAT,
    Flag::bool("human", "Show sizes and dates for people").short('H').default("true"),
    NO_TRUNC,
    Flag::text("platform", "Show this platform of the image").since(48),
    Flag::bool("quiet", "Show only IDs").short('q'),
];

const HUMAN: &str = "{{.ID}}\t{{.CreatedSince}}\t{{.CreatedBy}}\t{{.Size}}\t{{.Comment}}";
const EXACT: &str = "{{.ID}}\t{{.CreatedAt}}\t{{.CreatedBy}}\t{{.Size}}\t{{.Comment}}";
const COLUMNS: &[(&str, &str)] = &[
    ("ID", "IMAGE"),
    ("CreatedSince", "CREATED"),
    ("CreatedAt", "CREATED AT"),
    ("CreatedBy", "CREATED BY"),
    ("Size", "SIZE"),
    ("Comment", "COMMENT"),
];

async fn run(session: &Session, matches: &Matches) -> Result<Exit, Failure> {
    let request = session.engine.get(&format!("/images/{}/history", matches.arg(0)));
    let history: Vec<HistoryRow> =
        request.query_some("platform", &platform_json(matches.text_or_empty("platform"))?).fetch().await?;
    let human = !matches.changed("human") || matches.flag("human");
    let whole = matches.flag("no-trunc");
    let rows: Vec<Row> = history.iter().map(|step| row(step, human, whole)).collect();
    let table = if human { HUMAN } else { EXACT };
    Listing { columns: COLUMNS, table, quiet: "{{.ID}}", setting: "historyFormat", raw: NO_RAW }
        .print(session, matches, &rows)?;
    Ok(Exit::OK)
}

fn row(step: &HistoryRow, human: bool, whole: bool) -> Row {
    let mut row = Row::new();
    cell(&mut row, "ID", if whole { &step.id } else { short_id(&step.id) });
    let since = if step.created <= 0 {
        "N/A".to_owned()
    } else {
        format!("{} ago", units::human_duration(time::now() - step.created))
    };
    cell(&mut row, "CreatedSince", since);
    cell(
        &mut row,
        "CreatedAt",
        if step.created <= 0 { "N/A".to_owned() } else { time::rfc3339_local(step.created) },
    );
    let by = step.created_by.replace('\t', " ");
    cell(&mut row, "CreatedBy", if whole { by } else { ellipsis(&by, 45) });
    cell(&mut row, "Size", if human { units::human_size_3(step.size as f64) } else { step.size.to_string() });
    cell(&mut row, "Comment", &*step.comment);
    row
}
