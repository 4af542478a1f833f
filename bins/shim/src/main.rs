//! One container's keeper: serves the shim task API, drives an OCI runtime.

use shim::arguments::{Action, Arguments};
use shim::{NAME, bootstrap, delete, info, serve};
use std::process::ExitCode;

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprint!("{NAME}: {}", error.chain());
            ExitCode::FAILURE
        }
    }
}

fn run() -> errdefs::Result<()> {
    let arguments = Arguments::parse(std::env::args_os().skip(1))?;
    match arguments.action {
        Action::Version => {
            println!("{NAME}:\n  Version:  {}", env!("CARGO_PKG_VERSION"));
            Ok(())
        }
        Action::Info => info::print(),
        Action::Start => bootstrap::start(&arguments),
        Action::Delete => delete::delete(&arguments),
        Action::Serve => serve::serve(&arguments),
    }
}
