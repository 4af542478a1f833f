//! The OCI runtime: makes one container's process and leaves.

mod clock;
mod commands;
mod container;
mod failure;
mod global;
mod launch;
mod log;
mod seal;
mod validate;
mod words;

use std::process::exit;

fn main() {
    let arguments: Vec<String> =
        std::env::args_os().skip(1).map(|word| word.to_string_lossy().into_owned()).collect();
    exit(run(arguments));
}

/// Parses, seals where a program of others comes into play, dispatches, reports.
fn run(arguments: Vec<String>) -> i32 {
    let parsed = match global::parse(arguments) {
        Ok(parsed) => parsed,
        Err(failure) => {
            log::Log::to_stderr().failure(&failure);
            return failure.code;
        }
    };
    let Some((command, words)) = commands::find(&parsed) else {
        return commands::without_command(&parsed);
    };
    if command.runs_foreign_code
        && let Err(error) = seal::seal()
    {
        eprintln!("cannot protect the runtime's own file: {error}");
        return 1;
    }
    let log = match log::Log::open(&parsed.global) {
        Ok(log) => log,
        Err(failure) => {
            eprintln!("{failure}");
            return failure.code;
        }
    };
    let result = command.grammar.read(words).and_then(|words| {
        if words.has("help") {
            print!("{}", command.grammar.help());
            return Ok(0);
        }
        (command.run)(&commands::Context { global: &parsed.global, log: &log }, &words)
    });
    match result {
        Ok(code) => code,
        Err(failure) => {
            log.failure(&failure);
            failure.code
        }
    }
}
