//! `--help` of the program, a group and a command.

use crate::grammar::{Command, Flag, Group, Kind};
use crate::terminal;

/// Widest that help becomes; narrower terminals wrap earlier.
const WIDTH_LIMIT: usize = 80;

fn width() -> usize {
    terminal::window()
        .map_or(WIDTH_LIMIT, |(_, columns)| usize::from(columns).clamp(40, WIDTH_LIMIT.max(120)))
}

/// Help of one command; `path` is how it was typed.
pub fn command_help(program: &str, path: &str, command: &Command) -> String {
    let mut text = format!("Usage:  {}\n\n{}\n", usage_line(program, path, command), command.about);
    if command.paths.len() > 1 {
        let names: Vec<String> = command.paths.iter().map(|path| format!("{program} {path}")).collect();
        text.push_str(&format!("\nAliases:\n  {}\n", names.join(", ")));
    }
    let mut flags: Vec<&Flag> = command.flags().filter(|flag| !flag.hidden).collect();
    if !flags.is_empty() {
        flags.sort_by_key(|flag| flag.name);
        text.push_str("\nOptions:\n");
        text.push_str(&flag_table(&flags));
    }
    text
}

/// `ctl run [OPTIONS] IMAGE [COMMAND] [ARG...]`.
pub fn usage_line(program: &str, path: &str, command: &Command) -> String {
    let options = if command.flags().next().is_some() { " [OPTIONS]" } else { "" };
    let forms: Vec<String> = command
        .usage
        .split('\n')
        .map(|usage| format!("{program} {path}{options} {usage}").trim_end().to_owned())
        .collect();
    forms.join("\n\t")
}

/// Help of a group: its verbs.
pub fn group_help(program: &str, group: &Group, commands: &[&'static Command]) -> String {
    let mut rows: Vec<(String, &str)> =
        commands.iter().filter_map(|command| verb_of(group, command)).collect();
    rows.sort();
    let name = group.name;
    let mut text = format!("Usage:  {program} {name} COMMAND\n\n{}\n\nCommands:\n", group.about);
    text.push_str(&command_table(&rows));
    text.push_str(&format!("\nRun '{program} {name} COMMAND --help' for more information on a command.\n"));
    text
}

fn verb_of(group: &Group, command: &'static Command) -> Option<(String, &'static str)> {
    let path = command.paths.iter().find_map(|path| path.strip_prefix(group.name)?.strip_prefix(' '))?;
    Some((path.to_owned(), command.about))
}

const COMMON: &[&str] =
    &["run", "exec", "ps", "build", "pull", "push", "images", "login", "logout", "search", "version", "info"];

/// Help of the program.
pub fn root_help(
    program: &str,
    groups: &[Group],
    commands: &[&'static Command],
    plugins: &[(String, String)],
    globals: &[Flag],
) -> String {
    let about = |name: &str| {
        let found = commands.iter().find(|command| command.paths.contains(&name));
        found.map_or("", |command| command.about)
    };
    let common: Vec<(String, &str)> = COMMON.iter().map(|name| ((*name).to_owned(), about(name))).collect();
    let mut management: Vec<(String, &str)> =
        groups.iter().map(|group| (group.name.to_owned(), group.about)).collect();
    management.extend(plugins.iter().map(|(name, about)| (name.clone(), about.as_str())));
    management.sort();
    let mut others: Vec<(String, &str)> = commands
        .iter()
        .filter_map(|command| {
            let name = command.paths.iter().find(|path| !path.contains(' ') && !COMMON.contains(path))?;
            let is_common = command.paths.iter().any(|path| COMMON.contains(path));
            (!is_common).then(|| ((*name).to_owned(), command.about))
        })
        .collect();
    others.sort();
    let mut text = format!("Usage:  {program} [OPTIONS] COMMAND\n\nRuns containers\n\nCommon Commands:\n");
    text.push_str(&command_table(&common));
    text.push_str("\nManagement Commands:\n");
    text.push_str(&command_table(&management));
    text.push_str("\nCommands:\n");
    text.push_str(&command_table(&others));
    text.push_str("\nGlobal Options:\n");
    text.push_str(&flag_table(&globals.iter().collect::<Vec<_>>()));
    text.push_str(&format!("\nRun '{program} COMMAND --help' for more information on a command.\n"));
    text
}

fn command_table(rows: &[(String, &str)]) -> String {
    let widest = rows.iter().map(|(name, _)| name.len()).max().unwrap_or(0).max(11);
    rows.iter().map(|(name, about)| format!("  {name:widest$} {about}\n")).collect()
}

fn flag_table(flags: &[&Flag]) -> String {
    let lefts: Vec<String> = flags.iter().map(|flag| left(flag)).collect();
    let column = lefts.iter().map(String::len).max().unwrap_or(0) + 3;
    let room = width().saturating_sub(column).max(24);
    let mut text = String::new();
    for (flag, left) in flags.iter().zip(&lefts) {
        let mut help = flag.help.to_owned();
        if !flag.default.is_empty() {
            let quoted = flag.kind == Kind::Text;
            help.push_str(&if quoted {
                format!(" (default {:?})", flag.default)
            } else {
                format!(" (default {})", flag.default)
            });
        }
        for (index, line) in wrap(&help, room).iter().enumerate() {
            let left = if index == 0 { left.as_str() } else { "" };
            text.push_str(format!("{left:column$}{line}").trim_end());
            text.push('\n');
        }
    }
    text
}

fn left(flag: &Flag) -> String {
    let short = flag.short.map_or("    ".to_owned(), |short| format!("-{short}, "));
    let value = if flag.value.is_empty() { String::new() } else { format!(" {}", flag.value) };
    format!("  {short}--{}{value}", flag.name)
}

fn wrap(text: &str, room: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split(' ') {
        let last = lines.len() - 1;
        if !lines[last].is_empty() && lines[last].len() + 1 + word.len() > room {
            lines.push(word.to_owned());
        } else {
            if !lines[last].is_empty() {
                lines[last].push(' ');
            }
            lines[last].push_str(word);
        }
    }
    lines
}
