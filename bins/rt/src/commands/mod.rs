//! The commands, one a file.

mod checkpoint;
mod create;
mod delete;
mod events;
mod exec;
mod features;
mod kill;
mod list;
mod mounts;
mod pause;
mod ps;
mod restore;
mod resume;
mod run;
mod spec;
mod start;
mod state;
mod update;

use crate::container::{Container, Store};
use crate::failure::Failure;
use crate::global::{self, Global, Parsed};
use crate::log::Log;
use crate::words::{Grammar, Words};

/// What every command gets besides its own words.
pub struct Context<'a> {
    pub global: &'a Global,
    pub log: &'a Log,
}

impl Context<'_> {
    fn store(&self) -> Store {
        Store::new(&self.global.root)
    }
}

/// A command: its words and what it does; the result is the exit code.
pub struct Command {
    pub grammar: Grammar,
    /// Whether a program of the container's comes into play.
    pub runs_foreign_code: bool,
    pub run: fn(&Context<'_>, &Words) -> Result<i32, Failure>,
}

const COMMANDS: &[Command] = &[
    checkpoint::COMMAND,
    create::COMMAND,
    delete::COMMAND,
    events::COMMAND,
    exec::COMMAND,
    features::COMMAND,
    kill::COMMAND,
    list::COMMAND,
    mounts::COMMAND,
    pause::COMMAND,
    ps::COMMAND,
    restore::COMMAND,
    resume::COMMAND,
    run::COMMAND,
    spec::COMMAND,
    start::COMMAND,
    state::COMMAND,
    update::COMMAND,
];

/// Does something to each container, goes on after a failure and tells of the first.
fn each(
    containers: &[Container],
    mut act: impl FnMut(&Container) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let mut failures = containers.iter().filter_map(|container| act(container).err());
    let first = failures.next();
    failures.for_each(drop);
    first.map_or(Ok(()), Err)
}

/// The command that a line names, with its words.
pub fn find(parsed: &Parsed) -> Option<(&'static Command, &[String])> {
    if parsed.version || parsed.help {
        return None;
    }
    let (name, words) = parsed.rest.split_first()?;
    COMMANDS.iter().find(|command| command.grammar.name == name).map(|command| (command, words))
}

/// Answers a line that names no command of ours.
pub fn without_command(parsed: &Parsed) -> i32 {
    if parsed.version {
        print!("{}", version());
        return 0;
    }
    let asked = |name: &String| COMMANDS.iter().find(|command| command.grammar.name == *name);
    match parsed.rest.first().map(String::as_str) {
        Some("help") if let Some(command) = parsed.rest.get(1).and_then(asked) => {
            print!("{}", command.grammar.help());
            0
        }
        Some("help") | None => {
            print!("{}", global::GRAMMAR.help());
            println!("\nCOMMANDS:");
            for command in COMMANDS {
                println!("   {:<12} {}", command.grammar.name, command.grammar.about);
            }
            0
        }
        Some(name) => {
            // runc's framework exits with 3 here.
            println!("No help topic for '{name}'");
            3
        }
    }
}

/// `--version`: go-runc reads `runc version`, dockerd the commit.
fn version() -> String {
    format!(
        "runc version {}+wherry\ncommit: {}\nspec: {}\n",
        env!("CARGO_PKG_VERSION"),
        option_env!("WHERRY_COMMIT").unwrap_or("unknown"),
        runtime_spec::VERSION
    )
}
