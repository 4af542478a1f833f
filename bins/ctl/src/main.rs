//! The command line: Docker's grammar over the Engine API.

mod advice;
mod app;
mod commands;
mod completion;
mod grammar;
mod options;
mod output;
mod plugins;
mod session;
mod streams;
mod terminal;

fn main() {
    let exit = app::run(std::env::args().collect());
    // Not a return: a thread may still wait for a key on stdin.
    std::process::exit(i32::from(exit.0));
}
