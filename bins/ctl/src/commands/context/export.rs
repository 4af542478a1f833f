//! `context export`.

use std::fs::OpenOptions;
use std::io::{self, IsTerminal, Write};
use std::os::unix::fs::OpenOptionsExt;

use engine_client::{Contexts, pack_context};

use crate::grammar::{Arity, Command, Exit, Failure, Matches};
use crate::options::environment::os_text;
use crate::output;
use crate::session::Session;

pub const COMMAND: Command = Command {
    paths: &["context export"],
    usage: "[OPTIONS] CONTEXT [FILE|-]",
    about: "Write a context to a tar archive FILE or to stdout",
    flags: &[],
    arity: Arity::Between(1, 2),
    stops_at_positional: false,
    run: |session, matches| Box::pin(run(session, matches)),
};

async fn run(session: &Session, matches: &Matches) -> Result<Exit, Failure> {
    let store = Contexts::new(session.config.directory());
    let name = matches.arg(0);
    let archive = pack_context(&store.load(name)?, &store.tls(name)?)?;
    if matches.arg(1) == "-" {
        if io::stdout().is_terminal() {
            return Err(Failure::new("cowardly refusing to export to a terminal, specify a file path"));
        }
        output::print(archive)?;
        return Ok(Exit::OK);
    }
    let path =
        if matches.args.len() > 1 { matches.arg(1).to_owned() } else { format!("{name}.dockercontext") };
    let fail = |error: io::Error| Failure::new(format!("open {path}: {}", os_text(&error)));
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path).map_err(fail)?;
    file.write_all(&archive).map_err(fail)?;
    output::note(format!("Written file {path:?}"));
    Ok(Exit::OK)
}
