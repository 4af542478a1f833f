//! `list`: all containers below the root.

use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt;

use super::state::View;
use super::{Command, Context};
use crate::container::Container;
use crate::failure::{Failure, Tried};
use crate::words::{Grammar, Words, switch, value};

pub const COMMAND: Command = Command {
    grammar: Grammar {
        name: "list",
        arguments: "",
        about: "list containers",
        least: 0,
        most: 0,
        options: &[&[
            value("format", Some('f'), "table|json", "output format"),
            switch("quiet", Some('q'), "print ids only"),
        ]],
        ends_at_argument: false,
    },
    runs_foreign_code: false,
    run,
};

fn run(context: &Context<'_>, words: &Words) -> Result<i32, Failure> {
    let root = &context.global.root;
    let containers = match context.store().all() {
        // Nobody has made a container yet; a root that was named must be there, though.
        Err(error) if error.kind() == ErrorKind::NotFound && !context.global.root_given => Vec::new(),
        other => other.tried(format!("open {}", root.display()))?,
    };
    let owners: Vec<String> = containers.iter().map(owner).collect();
    let mut views = Vec::with_capacity(containers.len());
    for (container, owner) in containers.iter().zip(&owners) {
        views.push(View::of(container, owner)?);
    }
    if words.has("quiet") {
        views.iter().for_each(|view| println!("{}", view.id));
        return Ok(0);
    }
    match words.value("format") {
        None | Some("table" | "") => print!("{}", table(&views)),
        Some("json") if views.is_empty() => print!("null"),
        Some("json") => {
            let text = serde_json::to_string(&views).map_err(|e| Failure::new(e.to_string()))?;
            print!("{text}");
        }
        Some(_) => return Err(Failure::new("invalid format option")),
    }
    Ok(0)
}

/// The name of the user who made the container, else its number as `#N`.
fn owner(container: &Container) -> String {
    let uid = std::fs::metadata(&container.record.rootfs)
        .map_or(container.record.owner, |meta| meta.uid().min(container.record.owner));
    let passwd = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
    passwd
        .lines()
        .find_map(|line| {
            let mut fields = line.split(':');
            let name = fields.next()?;
            (fields.nth(1)?.parse() == Ok(uid)).then(|| name.to_owned())
        })
        .unwrap_or_else(|| format!("#{uid}"))
}

/// Columns at least 12 wide with three spaces between, as Go's tabwriter sets them.
fn table(views: &[View<'_>]) -> String {
    let mut rows = vec![["ID", "PID", "STATUS", "BUNDLE", "CREATED", "OWNER"].map(str::to_owned)];
    rows.extend(views.iter().map(|view| {
        [
            view.id.to_owned(),
            view.pid.to_string(),
            view.status.word().to_owned(),
            view.bundle.clone(),
            view.created.to_owned(),
            view.owner.to_owned(),
        ]
    }));
    let width = |column: usize| rows.iter().map(|row| row[column].len() + 3).max().unwrap_or(0).max(12);
    let widths: Vec<usize> = (0..5).map(width).collect();
    let mut text = String::new();
    for row in &rows {
        for (cell, width) in row.iter().zip(&widths) {
            text.push_str(&format!("{cell:<width$}"));
        }
        text.push_str(&row[5]);
        text.push('\n');
    }
    text
}
