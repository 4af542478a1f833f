//! `events`.

use engine_api::event::Event;
use serde_json::value::RawValue;

use crate::commands::listing::FILTER;
use crate::grammar::{Arity, Command, Exit, Failure, Flag, Matches};
use crate::options::filter;
use crate::output::{self, KeyOrder, Template, inspect, time};
use crate::session::Session;

pub const COMMAND: Command = Command {
    paths: &["system events", "events"],
    usage: "",
    about: "Show what happens in the engine, as it happens",
    flags: &[FLAGS],
    arity: Arity::None,
    stops_at_positional: false,
    run: |session, matches| Box::pin(run(session, matches)),
};

const FLAGS: &[Flag] = &[
    FILTER,
    Flag::text("format", "Go template to show with, or 'json'"),
    Flag::text("since", "From a time or so long ago"),
    Flag::text("until", "Up to a time or so long ago"),
];

async fn run(session: &Session, matches: &Matches) -> Result<Exit, Failure> {
    let moment = |name: &str| match matches.text_or_empty(name) {
        "" => Ok(String::new()),
        text => time::engine_timestamp(text),
    };
    let mut stream = session
        .engine
        .get("/events")
        .query_some("since", moment("since")?)
        .query_some("until", moment("until")?)
        .query_some("filters", filter::to_json(matches.list("filter"))?)
        .json_lines()
        .await?;
    let format = match matches.text_or_empty("format") {
        "json" => "{{json .}}",
        format => format,
    };
    let fail = |reason: String| Failure::new(format!("Error parsing format: {reason}")).with_code(64);
    if !format.is_empty() {
        // A template that is wrong for every event is wrong even if there is none.
        by_template(&RawValue::from_string(EMPTY.to_owned())?, format).map_err(fail)?;
    }
    while let Some(raw) = stream.next_raw().await? {
        let line = if format.is_empty() {
            plain(&serde_json::from_str(raw.get())?)
        } else {
            by_template(&raw, format).map_err(fail)?
        };
        output::println(line)?;
    }
    Ok(Exit::OK)
}

/// An event that tells nothing.
const EMPTY: &str =
    r#"{"Type":"","Action":"","Actor":{"ID":"","Attributes":{}},"scope":"","time":0,"timeNano":0}"#;

fn by_template(raw: &RawValue, format: &str) -> Result<String, String> {
    let template = Template::parse(format, KeyOrder::of(raw.get()))?.typed();
    let mut data: serde_json::Value = serde_json::from_str(raw.get()).map_err(|error| error.to_string())?;
    // Templates name the fields as Go does, not as JSON does.
    if let Some(fields) = data.as_object_mut().filter(|_| !format.contains("json .")) {
        for (name, key) in [
            ("ID", "id"),
            ("Status", "status"),
            ("From", "from"),
            ("Time", "time"),
            ("TimeNano", "timeNano"),
            ("Scope", "scope"),
        ] {
            let value = fields.get(key).cloned().unwrap_or_else(|| "".into());
            fields.insert(name.to_owned(), value);
        }
    }
    loop {
        match template.execute(&inspect::value_of(&data)) {
            Ok(shown) => return Ok(shown),
            // Events of other kinds have other attributes.
            Err(error) if inspect::supply_key(&mut data, template.missing_chain(&error)) => {}
            Err(error) => return Err(template.located(&error)),
        }
    }
}

/// `TIME TYPE ACTION ID (key=value, ...)`.
fn plain(event: &Event) -> String {
    let nanos = if event.time_nano == 0 { event.time * 1_000_000_000 } else { event.time_nano };
    let mut line =
        format!("{} {} {} {}", time::rfc3339_nanos_local(nanos), event.kind, event.action, event.actor.id);
    if !event.actor.attributes.is_empty() {
        let attributes: Vec<String> =
            event.actor.attributes.iter().map(|(key, value)| format!("{key}={value}")).collect();
        line.push_str(&format!(" ({})", attributes.join(", ")));
    }
    line
}
