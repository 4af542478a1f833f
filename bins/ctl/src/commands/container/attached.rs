//! What `run`, `start -a`, `attach` share: attach, wait, signals.

use std::io::{self, IsTerminal};

use engine_api::container::WaitResponse;
use engine_client::{Client, Error, Hijacked};

use crate::commands::container::exit_status;
use crate::grammar::{Exit, Failure};
use crate::session::Session;
use crate::terminal::{Signals, forwardable, signal_name};

/// Which streams to attach.
#[derive(Clone, Debug, Default)]
pub struct Streams {
    pub stdin: bool,
    pub stdout: bool,
    pub stderr: bool,
    /// Sent to the engine; empty is its default.
    pub detach_keys: String,
}

/// A terminal in the container needs one here, when stdin is attached.
pub fn check_tty(stdin: bool, tty: bool) -> Result<(), Failure> {
    if stdin && tty && !io::stdin().is_terminal() {
        return Err(Failure::new("the input device is not a TTY")
            .with_hint("Leave out -t when stdin is a pipe or a file."));
    }
    Ok(())
}

/// Opens a container's streams.
pub async fn attach(engine: &Client, id: &str, streams: &Streams) -> Result<Hijacked, Error> {
    engine
        .post(&format!("/containers/{id}/attach"))
        .query("stream", "1")
        .query_flag("stdin", streams.stdin)
        .query_flag("stdout", streams.stdout)
        .query_flag("stderr", streams.stderr)
        .query_some("detachKeys", &streams.detach_keys)
        .header("Content-Type", "text/plain")
        .hijack()
        .await
}

/// A wait that the engine has accepted.
pub struct Waiting<'a>(engine_client::Response<'a>);

impl<'a> Waiting<'a> {
    /// Begins to wait; returns when the engine has answered that it does.
    pub async fn open(engine: &'a Client, id: &str, condition: &str) -> Result<Self, Error> {
        let request = engine.post(&format!("/containers/{id}/wait"));
        Ok(Self(request.query_some("condition", condition).send().await?))
    }

    /// The exit code.
    pub async fn exit(self) -> Result<Exit, Failure> {
        let answer: WaitResponse = self.0.json().await?;
        match answer.error {
            Some(error) if !error.message.is_empty() => {
                Err(Failure::new(error.message).with_code(exit_status::ENGINE_FAILED))
            }
            _ => Ok(Exit(exit_status::of_code(answer.status_code))),
        }
    }
}

/// Passes our signals to the container; never ends.
pub async fn forward_signals(engine: &Client, id: &str, mut signals: Signals) {
    loop {
        let number = signals.next().await;
        // A container that has ended needs no signal.
        let kill = engine.post(&format!("/containers/{id}/kill")).query("signal", signal_name(number));
        let _ = kill.done().await;
    }
}

/// Catches signals to pass on, if asked to and the terminal does not make them bytes.
pub fn proxied(sig_proxy: bool, tty: bool) -> Result<Option<Signals>, Failure> {
    if sig_proxy && !tty { Ok(Some(Signals::catch(&forwardable())?)) } else { Ok(None) }
}

/// Runs `main` while `side` works beside it, if there is a side.
pub async fn beside<T>(main: impl Future<Output = T>, side: Option<impl Future<Output = ()>>) -> T {
    match side {
        None => main.await,
        Some(side) => tokio::select! {
            biased;
            result = main => result,
            () = async { side.await; std::future::pending().await } => unreachable!("a pending future is never ready"),
        },
    }
}

/// Whether the container has a terminal, and whether it runs.
pub async fn inspect(session: &Session, name: &str) -> Result<engine_api::container::Inspect, Error> {
    session.engine.get(&format!("/containers/{name}/json")).fetch().await
}
