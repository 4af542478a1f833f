//! Completion of words for bash, zsh and fish: a script for each shell, which asks `ctl __complete`.
//!
//! The answer has the form that Docker's scripts know: a candidate a line, with its description
//! after a tab, then `:DIRECTIVE`.

mod candidates;
mod names;

use std::process::Command as Process;

use crate::app::GLOBAL_FLAGS;
use crate::commands;
use crate::grammar::{Arity, Command, Exit, Failure, Flag, Matches, Resolved, parse, resolve};
use crate::output;
use crate::plugins;
use crate::session::{self, Session};
use candidates::{Candidates, Kind, Place};

/// Words that ask for candidates, with and without descriptions.
pub const ASK: &str = "__complete";
pub const ASK_PLAIN: &str = "__completeNoDesc";

pub const COMMAND: Command = Command {
    paths: &["completion"],
    usage: "bash|zsh|fish",
    about: "Print the completion script of a shell",
    flags: &[],
    arity: Arity::Exactly(1),
    stops_at_positional: false,
    run: |session, matches| Box::pin(run(session, matches)),
};

async fn run(session: &Session, matches: &Matches) -> Result<Exit, Failure> {
    let script = match matches.arg(0) {
        "bash" => include_str!("scripts/ctl.bash"),
        "zsh" => include_str!("scripts/ctl.zsh"),
        "fish" => include_str!("scripts/ctl.fish"),
        shell => {
            return Err(Failure::new(format!(
                "there is no completion for {shell}: must be one of bash, zsh, fish"
            ))
            .with_hint(format!("Try: source <({} completion bash)", session.program)));
        }
    };
    let function: String =
        session.program.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect();
    output::print(script.replace("@program@", &session.program).replace("@function@", &function))?;
    Ok(Exit::OK)
}

/// Answers `__complete WORD... CURRENT`: no failure is ever told, for it would stand amid what is typed.
pub fn answer(program: &str, words: &[String], described: bool) -> Result<Exit, Failure> {
    let (current, before) =
        words.split_last().map_or(("", &[][..]), |(last, before)| (last.as_str(), before));
    let globals: Vec<&'static Flag> = GLOBAL_FLAGS.iter().collect();
    let parsed = parse(&globals, true, before).unwrap_or_default();
    if let Some(plugin) = parsed.args.first().and_then(|word| plugin(&parsed, word)) {
        // The plugin knows its own words.
        let asked = Process::new(plugin.path).arg(ASK).args(words).output();
        output::print(asked.map(|answer| answer.stdout).unwrap_or_default())?;
        return Ok(Exit::OK);
    }
    let found = match Place::of(before, current, &parsed) {
        Place::Listed(candidates) => candidates,
        Place::Asked { kind, prefix } => from_engine(program, &parsed, kind, &prefix),
    };
    output::print(found.shown(current, described))?;
    Ok(Exit::OK)
}

/// A plugin that answers to `word`, unless a command of ours does.
fn plugin(globals: &Matches, word: &str) -> Option<plugins::Plugin> {
    match resolve(commands::ALL, commands::GROUPS, &[word.to_owned()]) {
        Resolved::Unknown(_) => plugins::find(&session::config_of(globals), word),
        _ => None,
    }
}

/// Names that the engine knows; without an engine there are none.
fn from_engine(program: &str, globals: &Matches, kind: Kind, prefix: &str) -> Candidates {
    let none = || Candidates::none(false);
    let Ok(session) = Session::open(program, globals, false) else { return none() };
    let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_all().build() else {
        return none();
    };
    let found =
        runtime.block_on(async { tokio::time::timeout(names::PATIENCE, names::of(&session, kind)).await });
    runtime.shutdown_background();
    let mut candidates = Candidates::of(found.unwrap_or_default());
    candidates.prefix(prefix);
    if kind == Kind::ContainerPath { candidates.followed_by(":") } else { candidates }
}
