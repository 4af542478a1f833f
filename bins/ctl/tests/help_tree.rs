//! Every command, alias and flag of the stock client exists here, or stands below with the reason why not.

use std::collections::BTreeMap;
use std::process::Command;

/// What the stock client has, written down once.
const STOCK: &str = include_str!("docker-28.2.2.txt");
/// Commands that are left out or have other flags, and why.
const OTHERWISE: &[(&str, &str)] = &[
    ("build", "is the buildx plugin's, which has flags of its own"),
    ("image build", "is the buildx plugin's, which has flags of its own"),
    ("builder build", "is the buildx plugin's, which has flags of its own"),
];

#[derive(Debug, Default, PartialEq)]
struct Page {
    aliases: Vec<String>,
    /// Shorthand, type and default by name; `-` for none.
    flags: BTreeMap<String, [String; 3]>,
}

fn stock() -> Vec<(String, Page)> {
    let mut pages: Vec<(String, Page)> = Vec::new();
    for line in STOCK.lines().filter(|line| !line.starts_with('#')) {
        if let Some(command) = line.strip_prefix("=") {
            let (path, aliases) = command.split_once('|').unwrap_or((command, ""));
            let aliases =
                aliases.split(',').map(|alias| alias.trim().to_owned()).filter(|alias| !alias.is_empty());
            pages.push((path.trim().to_owned(), Page { aliases: aliases.collect(), ..Page::default() }));
            continue;
        }
        let mut words = line.split(' ').map(str::to_owned);
        let name = words.next().expect("a flag's name");
        let rest: Vec<String> = words.collect();
        let page = &mut pages.last_mut().expect("a command before its flags").1;
        page.flags.insert(name, rest.try_into().expect("shorthand, type and default"));
    }
    pages
}

/// What our own help says of a command; `None` where it has none.
fn ours(path: &str) -> Option<Page> {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ctl"));
    let output = command
        .args(path.split_whitespace())
        .arg("--help")
        .env("DOCKER_CONFIG", "/nonexistent")
        .output()
        .expect("ctl runs");
    let text = String::from_utf8(output.stdout).expect("help is text");
    if !output.status.success() || text.is_empty() {
        return None;
    }
    let mut page = Page::default();
    let mut section = "";
    let mut flags: Vec<String> = Vec::new();
    for line in text.lines() {
        match line {
            "" => section = "",
            line if !line.starts_with(' ') => section = line,
            line if section == "Aliases:" => {
                page.aliases =
                    line.split(',').map(|alias| alias.trim().trim_start_matches("ctl ").to_owned()).collect();
            }
            line if section.ends_with("Options:") && line.find("--") == Some(6) => {
                flags.push(line.to_owned())
            }
            // The rest of a flag's help.
            line if section.ends_with("Options:") => {
                if let Some(flag) = flags.last_mut() {
                    flag.push_str(&format!(" {}", line.trim()));
                }
            }
            _ => {}
        }
    }
    page.flags = flags.iter().map(|flag| read_flag(flag)).collect();
    Some(page)
}

/// `  -s, --name type   Help (default x)`.
fn read_flag(line: &str) -> (String, [String; 3]) {
    let short = line[..6].trim().trim_end_matches(',').trim_start_matches('-');
    let (left, help) = line[8..].split_once("   ").unwrap_or((&line[8..], ""));
    let (name, kind) = left.trim().split_once(' ').unwrap_or((left.trim(), "-"));
    let default = help
        .split_once("(default ")
        .map_or("-", |(_, default)| default.trim_end_matches(')').trim_matches('"'));
    let short = if short.is_empty() { "-" } else { short };
    (name.to_owned(), [short, kind, default].map(str::to_owned))
}

#[test]
fn every_command_alias_and_flag_of_the_stock_client_is_here() {
    let mut missing = Vec::new();
    for (path, stock) in stock() {
        if OTHERWISE.iter().any(|(command, _)| *command == path) {
            continue;
        }
        let Some(page) = ours(&path) else {
            missing.push(format!("{path}: no such command"));
            continue;
        };
        for alias in stock.aliases.iter().filter(|alias| !page.aliases.contains(alias)) {
            missing.push(format!("{path}: no alias {alias}"));
        }
        for (name, facts) in &stock.flags {
            match page.flags.get(name) {
                None => missing.push(format!("{path}: no flag --{name}")),
                Some(found) if found != facts => {
                    missing.push(format!("{path}: --{name} is {found:?}, not {facts:?}"))
                }
                Some(_) => {}
            }
        }
        for name in page.flags.keys().filter(|name| !stock.flags.contains_key(*name)) {
            missing.push(format!("{path}: --{name} is not the stock client's"));
        }
    }
    assert!(missing.is_empty(), "{} differences:\n{}", missing.len(), missing.join("\n"));
}
