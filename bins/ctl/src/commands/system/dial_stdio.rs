//! `system dial-stdio`: the engine's socket on stdin and stdout, for `ssh://`.

use tokio::io::{AsyncWriteExt, copy, split, stdin, stdout};

use crate::grammar::{Arity, Command, Exit, Failure};
use crate::session::Session;

pub const COMMAND: Command = Command {
    paths: &["system dial-stdio"],
    usage: "",
    about: "Connect stdin and stdout to the engine's socket",
    flags: &[],
    arity: Arity::None,
    stops_at_positional: false,
    run: |session, _| Box::pin(run(session)),
};

async fn run(session: &Session) -> Result<Exit, Failure> {
    let (mut read, mut write) = split(session.engine.dial().await?);
    let input = async {
        copy(&mut stdin(), &mut write).await?;
        write.shutdown().await?;
        std::future::pending::<std::io::Result<()>>().await
    };
    let output = async {
        let mut stdout = stdout();
        copy(&mut read, &mut stdout).await?;
        stdout.flush().await
    };
    // The engine's side decides the end: an answer may follow the end of stdin.
    tokio::select! {
        result = output => result?,
        result = input => result?,
    }
    Ok(Exit::OK)
}
