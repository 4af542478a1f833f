//! `attach`.

use crate::commands::container::attached::{self, Streams, Waiting};
use crate::grammar::{Arity, Command, Exit, Failure, Flag, Matches};
use crate::session::Session;
use crate::streams::{self, Ended, Flow};

pub const COMMAND: Command = Command {
    paths: &["container attach", "attach"],
    usage: "CONTAINER",
    about: "Attach stdin, stdout and stderr to a running container",
    flags: &[FLAGS],
    arity: Arity::Exactly(1),
    stops_at_positional: false,
    run: |session, matches| Box::pin(run(session, matches)),
};

const FLAGS: &[Flag] = &[
    Flag::text("detach-keys", "Keys that detach from the container"),
    Flag::bool("no-stdin", "Do not attach stdin"),
    Flag::bool("sig-proxy", "Pass signals to the process").default("true"),
];

async fn run(session: &Session, matches: &Matches) -> Result<Exit, Failure> {
    let engine = &session.engine;
    let container = attached::inspect(session, matches.arg(0)).await?;
    let state = &container.state;
    for (wrong, text) in [
        (!state.running, "You cannot attach to a stopped container, start it first"),
        (state.paused, "You cannot attach to a paused container, unpause it first"),
        (state.restarting, "You cannot attach to a restarting container, wait until it is running"),
    ] {
        if wrong {
            return Err(Failure::new(text));
        }
    }
    let (id, tty) = (container.id.as_str(), container.config.tty);
    let stdin = !matches.flag("no-stdin") && container.config.open_stdin;
    attached::check_tty(stdin, tty)?;
    let (keys, keys_text) = session.detach_keys(matches.text("detach-keys"))?;
    let signals = attached::proxied(!matches.changed("sig-proxy") || matches.flag("sig-proxy"), tty)?;
    let streams = Streams { stdin, stdout: true, stderr: true, detach_keys: keys_text };
    let waiting = Waiting::open(engine, id, "").await?;
    let connection = attached::attach(engine, id, &streams).await?;
    let flow = Flow { tty, stdin, stdout: true, stderr: true, detach: keys };
    let main = async {
        match streams::flow(connection, flow).await? {
            Ended::Detached => Err(Failure::new("read escape sequence")),
            Ended::Closed => waiting.exit().await,
        }
    };
    let object = format!("/containers/{id}");
    let main = attached::beside(main, tty.then(|| streams::follow_window(engine, &object)));
    attached::beside(main, signals.map(|signals| attached::forward_signals(engine, id, signals))).await
}
