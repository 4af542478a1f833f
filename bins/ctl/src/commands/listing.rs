//! What the list commands share: which format, IDs short or whole.

use crate::grammar::{Failure, Flag, Matches};
use crate::options::filter;
use crate::output::{self, Column, Fault, Format, Row};
use crate::session::Session;

pub const FORMAT: Flag =
    Flag::text("format", "Go template to show with: 'table', 'table TEMPLATE', 'json' or a TEMPLATE");
pub const FILTER: Flag =
    Flag::list("filter", "Show only what fits").short('f').value("filter").check(filter::check);
pub const NO_TRUNC: Flag = Flag::bool("no-trunc", "Do not shorten the output");

/// No format of the name `raw`.
pub const NO_RAW: (&str, &str) = ("", "");

/// How a kind of object is listed.
pub struct Listing {
    pub columns: &'static [Column],
    /// Default table template.
    pub table: &'static str,
    /// Template of `--quiet`.
    pub quiet: &'static str,
    /// Setting of config.json that replaces the default.
    pub setting: &'static str,
    /// Templates of `--format raw`, whole and with `--quiet`; empty where `raw` is a template like any other.
    pub raw: (&'static str, &'static str),
}

impl Listing {
    /// Prints rows by `--format`, `--quiet`, the configuration, or the default table.
    ///
    /// # Errors
    /// A bad template.
    pub fn print(&self, session: &Session, matches: &Matches, rows: &[Row]) -> Result<(), Failure> {
        output::print(self.shown(session, matches, rows)?)
    }

    /// What [`Self::print`] prints.
    ///
    /// # Errors
    /// A bad template.
    pub fn shown(&self, session: &Session, matches: &Matches, rows: &[Row]) -> Result<String, Fault> {
        self.format(session, matches).render(self.columns, rows)
    }

    fn format(&self, session: &Session, matches: &Matches) -> Format {
        let given = matches.text_or_empty("format");
        // Where quiet is asked for, `raw` has a form of its own, and lists of containers and contexts know no other.
        let only_quiet = matches!(self.setting, "psFormat" | "") || given.is_empty() || given == "table";
        if matches.flag("quiet") && only_quiet {
            return Format::parse(self.quiet, self.table);
        }
        let text =
            if given.is_empty() { session.config.text(self.setting).unwrap_or_default() } else { given };
        match self.raw {
            ("", _) => Format::parse(text, self.table),
            (_, of_quiet) if text == "raw" && matches.flag("quiet") => Format::parse(of_quiet, self.table),
            (whole, _) if text == "raw" => Format::parse(whole, self.table),
            _ => Format::parse(text, self.table),
        }
    }
}

/// An ID as shown: without algorithm, 12 characters.
pub fn short_id(id: &str) -> &str {
    let hex = id.split_once(':').map_or(id, |(_, hex)| hex);
    hex.get(..12).unwrap_or(hex)
}

/// At most `width` characters, the last one `…` where something was cut.
pub fn ellipsis(text: &str, width: usize) -> String {
    if text.chars().count() <= width {
        return text.to_owned();
    }
    text.chars().take(width.saturating_sub(1)).chain(['…']).collect()
}

/// `a=1,b=2`.
pub fn joined<'a>(map: impl IntoIterator<Item = (&'a String, &'a String)>) -> String {
    map.into_iter().map(|(key, value)| format!("{key}={value}")).collect::<Vec<_>>().join(",")
}
