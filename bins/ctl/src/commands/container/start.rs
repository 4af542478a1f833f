//! `start`.

use crate::commands::container::attached::{self, Streams, Waiting};
use crate::commands::each::Each;
use crate::grammar::{Arity, Command, Exit, Failure, Flag, Matches};
use crate::session::Session;
use crate::streams::{self, Ended, Flow};

pub const COMMAND: Command = Command {
    paths: &["container start", "start"],
    usage: "CONTAINER [CONTAINER...]",
    about: "Start one or more stopped containers",
    flags: &[FLAGS],
    arity: Arity::AtLeast(1),
    stops_at_positional: false,
    run: |session, matches| Box::pin(run(session, matches)),
};

const FLAGS: &[Flag] = &[
    Flag::bool("attach", "Attach stdout and stderr and pass signals on").short('a'),
    Flag::text("checkpoint", "Restore from this checkpoint"),
    Flag::text("checkpoint-dir", "Directory of the checkpoints"),
    Flag::text("detach-keys", "Keys that detach from the container"),
    Flag::bool("interactive", "Attach stdin").short('i'),
];

async fn run(session: &Session, matches: &Matches) -> Result<Exit, Failure> {
    if matches.flag("attach") || matches.flag("interactive") {
        if matches.args.len() > 1 {
            return Err(Failure::new("you cannot start and attach multiple containers at once"));
        }
        refuse_checkpoint_of_many(matches)?;
        return start_attached(session, matches).await;
    }
    refuse_checkpoint_of_many(matches)?;
    let mut each = Each::default();
    let mut failed = Vec::new();
    for name in &matches.args {
        let result = request(session, matches, name).done().await;
        if let Err(error) = result {
            crate::output::note(error.to_string());
            failed.push(name.clone());
        } else {
            each.done(name, Ok::<(), Failure>(()))?;
        }
    }
    if failed.is_empty() {
        return each.finish();
    }
    Err(Failure::new(format!("Error: failed to start containers: {}", failed.join(", "))))
}

fn refuse_checkpoint_of_many(matches: &Matches) -> Result<(), Failure> {
    if matches.args.len() > 1 && !matches.text_or_empty("checkpoint").is_empty() {
        return Err(Failure::new("you cannot restore multiple containers at once"));
    }
    Ok(())
}

fn request<'a>(session: &'a Session, matches: &Matches, name: &str) -> engine_client::Request<'a> {
    let request = session.engine.post(&format!("/containers/{name}/start"));
    let request = request.query_some("checkpoint", matches.text_or_empty("checkpoint"));
    request.query_some("checkpoint-dir", matches.text_or_empty("checkpoint-dir"))
}

async fn start_attached(session: &Session, matches: &Matches) -> Result<Exit, Failure> {
    let engine = &session.engine;
    let container = attached::inspect(session, matches.arg(0)).await?;
    let (id, tty) = (container.id.as_str(), container.config.tty);
    let stdin = matches.flag("interactive") && container.config.open_stdin;
    let (keys, keys_text) = session.detach_keys(matches.text("detach-keys"))?;
    let signals = attached::proxied(true, tty)?;
    let streams = Streams { stdin, stdout: true, stderr: true, detach_keys: keys_text };
    let connection = attached::attach(engine, id, &streams).await?;
    let removes = container.host_config.auto_remove;
    let waiting = Waiting::open(engine, id, if removes { "removed" } else { "next-exit" }).await?;
    if let Err(error) = request(session, matches, id).done().await {
        if removes {
            let _ = waiting.exit().await;
        }
        return Err(Failure { code: 1, ..Failure::from(error) });
    }
    let flow = Flow { tty, stdin, stdout: true, stderr: true, detach: keys };
    let main = async {
        match streams::flow(connection, flow).await? {
            Ended::Detached => Ok(Exit::OK),
            Ended::Closed => waiting.exit().await,
        }
    };
    let object = format!("/containers/{id}");
    let main = attached::beside(main, tty.then(|| streams::follow_window(engine, &object)));
    attached::beside(main, signals.map(|signals| attached::forward_signals(engine, id, signals))).await
}
