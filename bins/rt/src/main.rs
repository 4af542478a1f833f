//! The OCI runtime: makes one container's process and leaves.
#![cfg_attr(not(test), no_main)]

mod annotations;
mod clock;
mod commands;
mod container;
mod criu;
mod failure;
mod global;
mod launch;
mod log;
mod seal;
mod validate;
mod words;

use std::ffi::OsString;

use failure::Failure;

#[cfg(not(test))]
syscalls::entry!(super::start);

#[cfg_attr(test, expect(dead_code, reason = "tests have a start of their own"))]
fn start() -> i32 {
    let code = match syscalls::entry::words().into_iter().skip(1).map(OsString::into_string).collect() {
        Ok(words) => run(words),
        Err(word) => {
            log::Log::to_stderr().failure(&Failure::new(format!("{word:?} is not UTF-8")));
            1
        }
    };
    // What is printed without a line's end, such as the state, waits in the buffer.
    let _ = std::io::Write::flush(&mut std::io::stdout());
    code
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
    if command.runs_foreign_code {
        if let Err(error) = seal::seal() {
            eprintln!("cannot protect the runtime's own file: {error}");
            return 1;
        }
        if let Err(error) = syscalls::signals::heed_ignored() {
            eprintln!("cannot see which signals are ignored: {error}");
            return 1;
        }
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
        log.debug(&format!(
            "{} {:?} below {}",
            command.grammar.name,
            words.arguments,
            parsed.global.root.display()
        ));
        (command.run)(&commands::Context { global: &parsed.global, log: &log }, &words)
    });
    match result {
        Ok(code) => {
            log.debug(&format!("{} ends with {code}", command.grammar.name));
            code
        }
        Err(failure) => {
            log.failure(&failure);
            failure.code
        }
    }
}
