//! A client joined to a container's streams.

use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use containerd_api::services::tasks::v1::CloseIoRequest;
use errdefs::{Error, Result};
use tokio::io::{AsyncReadExt, AsyncWriteExt, ReadHalf, WriteHalf};
use tokio::sync::oneshot;

use super::stdio::{self, Output, Stdin};
use super::{Container, Phase};
use crate::api::hijack::Stream;
use crate::detach::{DetachKeys, Escape};
use crate::engine::Engine;

/// What a client wants of a container's streams.
#[derive(Clone, Debug, Default)]
pub struct Wish {
    pub stdin: bool,
    pub stdout: bool,
    pub stderr: bool,
    /// What comes from now on.
    pub stream: bool,
    /// What was logged before.
    pub logs: bool,
    pub keys: DetachKeys,
    /// Output comes as it was written, never in frames.
    pub is_raw: bool,
}

/// Where the output of an attached container comes from.
enum From {
    Now(Output),
    AtStart(oneshot::Receiver<Output>),
}

/// A client that has been given its place, in time: nothing that is written from now on is missed.
pub struct Attached {
    engine: Arc<Engine>,
    container: Arc<Container>,
    wish: Wish,
    from: Option<From>,
}

/// Gives a client its place.
///
/// # Errors
/// The container is frozen or being removed, or its logger does not answer.
pub async fn attach(engine: &Arc<Engine>, container: &Arc<Container>, wish: Wish) -> Result<Attached> {
    let refuse = |text: String| Err(Error::failed_precondition(text));
    let from = {
        // No start begins or ends while the place is taken.
        let _moving = container.moving.lock().await;
        let record = container.record();
        match record.state.phase {
            Phase::Paused => {
                return refuse(format!(
                    "container {} is paused, unpause the container before attach",
                    container.id
                ));
            }
            Phase::Restarting => {
                return refuse(format!(
                    "container {} is restarting, wait until the container is running",
                    container.id
                ));
            }
            Phase::Removing | Phase::Dead => {
                return refuse(format!("container {} is marked for removal", container.id));
            }
            _ if !wish.stream => None,
            Phase::Running => {
                let output = Output::join(Path::new(&record.attach_path)).await;
                Some(From::Now(
                    output.map_err(crate::files::failed("attach to", Path::new(&record.attach_path)))?,
                ))
            }
            Phase::Created | Phase::Exited => {
                let (send, receive) = oneshot::channel();
                container.live().waiting.push(send);
                Some(From::AtStart(receive))
            }
        }
    };
    engine.tell_container("attach", container, &[]);
    Ok(Attached { engine: engine.clone(), container: container.clone(), wish, from })
}

impl Attached {
    /// Serves the client until its streams end, it detaches or it goes away.
    pub async fn serve(self, stream: Stream) {
        let (mut read, mut write) = tokio::io::split(stream);
        if self.wish.logs
            && let Err(error) = self.replay(&mut write).await
        {
            tracing::debug!(container = %self.container.id, error = %error.chain(), "cannot replay a log");
            let _ = write.shutdown().await;
            return;
        }
        let output = match self.from {
            None => {
                let _ = write.shutdown().await;
                return;
            }
            Some(From::Now(output)) => output,
            // Somebody who leaves while waiting drops this, and the start skips them.
            Some(From::AtStart(start)) => match start.await {
                Ok(output) => output,
                Err(_) => return,
            },
        };
        let is_tty = self.wish.is_raw || self.container.record().is_tty();
        let sending = copy_output(output, &mut write, &self.wish, is_tty);
        if !self.wish.stdin {
            tokio::select! {
                () = sending => {}
                () = gone(&mut read) => {}
            }
        } else {
            let stdin = self.container.live().stdin.clone();
            let receiving = copy_input(&self.engine, &self.container, stdin, &mut read, &self.wish.keys);
            tokio::pin!(sending);
            tokio::select! {
                () = &mut sending => {}
                left = receiving => match left {
                    Left::Detached => self.engine.tell_container("detach", &self.container, &[]),
                    // The input has ended; the output goes on.
                    Left::Ended => sending.await,
                },
            }
        }
        let _ = write.shutdown().await;
    }

    async fn replay(&self, write: &mut WriteHalf<Stream>) -> Result<()> {
        let mut reader =
            super::logs::open(&self.container, logs::Selection { tail: None, since: None, until: None })?;
        let is_tty = self.wish.is_raw || self.container.record().is_tty();
        let failed = |cause: std::io::Error| Error::internal("cannot replay the log").with_source(cause);
        while let Some(entry) = reader.next().await.map_err(failed)? {
            let stream = super::logs::stream_number(entry.stream);
            if is_wanted(&self.wish, stream) {
                let bytes = if is_tty { Bytes::from(entry.line) } else { stdio::frame(stream, &entry.line) };
                write.write_all(&bytes).await.map_err(failed)?;
            }
        }
        Ok(())
    }
}

fn is_wanted(wish: &Wish, stream: u8) -> bool {
    (stream == 1 && wish.stdout) || (stream == 2 && wish.stderr)
}

async fn copy_output(mut output: Output, write: &mut WriteHalf<Stream>, wish: &Wish, is_tty: bool) {
    while let Ok(Some(frame)) = output.next().await {
        if !is_wanted(wish, frame.stream) {
            continue;
        }
        let bytes = if is_tty { frame.payload() } else { frame.bytes };
        if write.write_all(&bytes).await.is_err() {
            return;
        }
    }
}

/// How a client's input ended.
pub enum Left {
    /// By the detach keys, or because the connection broke.
    Detached,
    /// By half-closing it.
    Ended,
}

async fn copy_input(
    engine: &Engine,
    container: &Container,
    stdin: Option<Arc<Stdin>>,
    read: &mut ReadHalf<Stream>,
    keys: &DetachKeys,
) -> Left {
    let record = container.record();
    let mut escape = Escape::new(if record.is_tty() { keys.clone() } else { DetachKeys::none() });
    let mut buffer = vec![0; 32 << 10];
    let left = loop {
        let length = match read.read(&mut buffer).await {
            Ok(0) => break Left::Ended,
            Ok(length) => length,
            // A client that goes without reading what it was sent breaks the connection: its input has ended, too.
            Err(_) => break Left::Detached,
        };
        let (bytes, is_detached) = escape.pass(&buffer[..length]);
        if let Some(stdin) = &stdin
            && stdin.write(&bytes).await.is_err()
        {
            // Closed by an earlier client; what this one sends goes nowhere, as in Docker.
        }
        if is_detached {
            return Left::Detached;
        }
    };
    if record.config.stdin_once && !record.is_tty() {
        if let Some(stdin) = stdin {
            stdin.close().await;
        }
        let request =
            CloseIoRequest { container_id: container.id.clone(), exec_id: String::new(), stdin: true };
        if let Err(status) = engine.supervisor.tasks().close_io(request).await {
            tracing::debug!(container = %container.id, %status, "cannot close standard input");
        }
    }
    left
}

/// Resolves when the client breaks off; a client that only half-closes stays.
pub async fn gone(read: &mut ReadHalf<Stream>) {
    let mut buffer = [0; 4096];
    loop {
        match read.read(&mut buffer).await {
            Ok(0) => std::future::pending().await,
            Ok(_) => {}
            Err(_) => return,
        }
    }
}
