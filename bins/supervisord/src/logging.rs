//! Log lines as containerd writes them: `time="..." level=info msg="..." key=value`, or the same in JSON.

use std::fmt::{self, Write as _};
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

/// Starts logging to standard error.
pub fn start(level: &str, json: bool) {
    let level = level.parse::<Level>().unwrap_or(Level::INFO);
    let builder =
        tracing_subscriber::fmt().with_max_level(level).with_writer(std::io::stderr).with_ansi(false);
    // Started once, at the beginning of the process.
    let _ = builder.event_format(Lines { json }).try_init();
}

struct Lines {
    json: bool,
}

/// The fields of an event, the message apart.
#[derive(Default)]
struct Fields {
    message: String,
    rest: Vec<(&'static str, String)>,
}

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.add(field, format!("{value:?}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.add(field, value.to_owned());
    }
}

impl Fields {
    fn add(&mut self, field: &Field, text: String) {
        match field.name() {
            "message" => self.message = text,
            name => self.rest.push((name, text)),
        }
    }
}

/// The words that containerd's log has for levels.
fn word(level: Level) -> &'static str {
    match level {
        Level::ERROR => "error",
        Level::WARN => "warning",
        Level::INFO => "info",
        Level::DEBUG => "debug",
        Level::TRACE => "trace",
    }
}

fn quoted(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-._/@^+:".contains(c);
    if !text.is_empty() && text.chars().all(plain) { text.to_owned() } else { format!("{text:?}") }
}

impl<S, N> FormatEvent<S, N> for Lines
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(&self, _: &FmtContext<'_, S, N>, mut out: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        let mut fields = Fields::default();
        event.record(&mut fields);
        let time = jiff::Timestamp::now();
        let level = word(*event.metadata().level());
        if self.json {
            let mut line = serde_json::Map::new();
            for (name, value) in fields.rest {
                line.insert(name.to_owned(), value.into());
            }
            line.insert("level".into(), level.into());
            line.insert("msg".into(), fields.message.into());
            line.insert("time".into(), time.to_string().into());
            return writeln!(out, "{}", serde_json::Value::Object(line));
        }
        let mut line = format!("time=\"{time}\" level={level} msg={:?}", fields.message);
        for (name, value) in fields.rest {
            write!(line, " {name}={}", quoted(&value))?;
        }
        writeln!(out, "{line}")
    }
}
