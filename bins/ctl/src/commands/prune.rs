//! What the prune commands share: the question, the report.

use std::io::{self, BufRead};

use crate::grammar::{Failure, Flag, Matches};
use crate::options::filter;
use crate::output::{self, units};

pub const FORCE: Flag = Flag::bool("force", "Do not ask").short('f');
pub const FILTER: Flag = Flag::list("filter", "Only what fits (label=<key>=<value>, until=<time>)")
    .value("filter")
    .check(filter::check);

/// Asks, unless `--force`; whether to go on.
///
/// # Errors
/// Nobody reads stdout.
pub fn confirmed(matches: &Matches, warning: &str) -> Result<bool, Failure> {
    if matches.flag("force") {
        return Ok(true);
    }
    output::print(format!("{warning}\nAre you sure you want to continue? [y/N] "))?;
    let mut answer = String::new();
    io::stdin().lock().read_line(&mut answer)?;
    Ok(answer.trim().eq_ignore_ascii_case("y"))
}

/// The list of what was deleted under its heading; nothing for an empty list.
pub fn report(heading: &str, deleted: &[String]) -> String {
    if deleted.is_empty() {
        return String::new();
    }
    format!("{heading}\n{}\n\n", deleted.join("\n"))
}

/// The line that ends a report.
pub fn reclaimed(bytes: u64) -> String {
    format!("Total reclaimed space: {}\n", units::human_size(bytes as f64))
}
