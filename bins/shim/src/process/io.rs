//! A process's standard streams: prepared before the runtime runs, connected when it did.

use crate::command::{self, Streams};
use crate::reaper::{Exit, Reaper};
use errdefs::{Error, Result};
use logs::{Logger, Stream};
use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use stdio::{BinaryUri, Input, LogProgram, Output, Sink, Target, Tell};
use tokio::sync::oneshot;
use tokio::time::Instant;

/// Our own logger: it runs inside this process when it is named by this file name.
const OWN_LOGGER: &str = "wherry-logger";

/// What a client asked for.
#[derive(Clone, Debug, Default)]
pub(crate) struct Stdio {
    pub(crate) stdin: String,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
    pub(crate) terminal: bool,
}

/// Streams that are open on the client's side.
pub(crate) struct Prepared {
    stdin: Option<OwnedFd>,
    stdout: Sink,
    stderr: Sink,
    log: Option<Arc<Logger>>,
    program: Option<(LogProgram, oneshot::Receiver<Exit>)>,
}

/// Streams that are open on both sides.
#[derive(Default)]
pub(crate) struct Io {
    outputs: Vec<Output>,
    input: Option<Input>,
    console: Option<OwnedFd>,
    log: Option<Arc<Logger>>,
    program: Option<(LogProgram, oneshot::Receiver<Exit>)>,
}

impl Prepared {
    /// Opens what the client asked for; the log and its attach socket are there afterwards.
    pub(crate) async fn open(stdio: &Stdio, id: &str, namespace: &str, reaper: &Reaper) -> Result<Prepared> {
        let mut prepared =
            Prepared { stdin: None, stdout: Sink::Null, stderr: Sink::Null, log: None, program: None };
        if !stdio.stdin.is_empty() {
            let path = match parse(&stdio.stdin)? {
                Target::Fifo(path) | Target::File(path) => path,
                _ => return Err(Error::invalid_argument(format!("cannot read stdin from {}", stdio.stdin))),
            };
            prepared.stdin = Some(stdio::open_input(&path).map_err(|e| cannot("open", &path, e))?);
        }
        match parse(&stdio.stdout)? {
            Target::Binary(uri) => prepared.start_log(&uri, id, namespace, reaper).await?,
            Target::File(path) => {
                prepared.stdout = file(&path).await?;
                prepared.stderr = prepared.stdout.clone();
            }
            target => {
                prepared.stdout = sink(&target).await?;
                prepared.stderr = match parse(&stdio.stderr)? {
                    _ if stdio.stderr == stdio.stdout => prepared.stdout.clone(),
                    target => sink(&target).await?,
                };
            }
        }
        Ok(prepared)
    }

    async fn start_log(&mut self, uri: &BinaryUri, id: &str, namespace: &str, reaper: &Reaper) -> Result<()> {
        let is_own = uri.path.file_name().is_some_and(|name| name == OWN_LOGGER);
        // What is sent elsewhere needs more than this small process holds: the logger itself does that.
        let is_sent = |(key, value): &(String, String)| {
            key == "driver" && log_forward::DRIVERS.contains(&value.as_str())
        };
        if is_own && !uri.pairs.iter().any(is_sent) {
            let pairs = uri.pairs.iter().map(|(key, value)| (key, value));
            let options = logs::Options::from_pairs(pairs)
                .map_err(|cause| Error::invalid_argument("cannot read log options").with_source(cause))?;
            let logger = Logger::open(&options).await.map_err(|cause| {
                let path = options.path.as_deref().or(options.attach.as_deref());
                cannot("open log", path.unwrap_or(Path::new("")), cause)
            })?;
            let logger = Arc::new(logger);
            self.stdout = Sink::Log(logger.clone(), Stream::Stdout);
            self.stderr = Sink::Log(logger.clone(), Stream::Stderr);
            self.log = Some(logger);
            return Ok(());
        }
        let claim = reaper.claim();
        // Ours always says when it is ready; if it does not, it cannot log.
        let uri = &BinaryUri { must_be_ready: uri.must_be_ready || is_own, ..uri.clone() };
        let program =
            LogProgram::start(uri, id, namespace).await.map_err(|e| cannot("start", &uri.path, e))?;
        let exit = reaper.watch(program.pid());
        drop(claim);
        self.program = Some((program, exit));
        Ok(())
    }

    /// Makes pipes for the process and starts copying.
    pub(crate) fn pipes(mut self, owner: Option<(u32, u32)>) -> Result<(Io, Streams)> {
        let mut io = Io::default();
        let stdin = match self.stdin.take() {
            None => command::null().map_err(no_pipe)?,
            Some(from) => {
                let pipe = stdio::pipe(owner).map_err(no_pipe)?;
                io.input = Some(Input::start(from, pipe.write).map_err(no_pipe)?);
                pipe.read
            }
        };
        let direct = self.program.as_mut().map(|(program, _)| (program.stdout.take(), program.stderr.take()));
        let (stdout, stderr) = match direct {
            Some((Some(stdout), Some(stderr))) => (stdout, stderr),
            _ => (io.output(self.stdout, owner)?, io.output(self.stderr, owner)?),
        };
        (io.log, io.program) = (self.log, self.program);
        Ok((io, Streams { stdin, stdout, stderr }))
    }

    /// Starts copying from and to the terminal that the runtime made.
    pub(crate) fn terminal(mut self, master: OwnedFd) -> Result<Io> {
        let mut io = Io { log: self.log, ..Io::default() };
        if let Some((program, _)) = &mut self.program {
            // A terminal has one output; the program sees the end of the other at once.
            program.stderr = None;
            if let Some(stdout) = program.stdout.take() {
                self.stdout = Sink::writer(stdout).map_err(no_pipe)?;
            }
        }
        io.program = self.program;
        let master_of = || master.try_clone().map_err(no_pipe);
        io.outputs.push(Output::start(master_of()?, self.stdout).map_err(no_pipe)?);
        self.stderr.finish();
        if let Some(from) = self.stdin {
            io.input = Some(Input::start(from, master_of()?).map_err(no_pipe)?);
        }
        io.console = Some(master);
        Ok(io)
    }

    /// Ends the log of a process that was never made.
    pub(crate) async fn abandon(self) {
        Io { log: self.log, program: self.program, ..Io::default() }.close(Duration::ZERO).await;
    }
}

impl Io {
    fn output(&mut self, to: Sink, owner: Option<(u32, u32)>) -> Result<OwnedFd> {
        if matches!(to, Sink::Null) {
            return command::null().map_err(no_pipe);
        }
        let pipe = stdio::pipe(owner).map_err(no_pipe)?;
        self.outputs.push(Output::start(pipe.read, to).map_err(no_pipe)?);
        Ok(pipe.write)
    }

    /// Resolves when all that the process wrote so far has reached its place, or `limit` is up.
    pub(crate) async fn drain(&self, limit: Duration) {
        let end = Instant::now() + limit;
        for output in &self.outputs {
            output.drain(end - Instant::now()).await;
        }
    }

    /// Closes the process's stdin behind what the client has written.
    pub(crate) fn close_input(&mut self) {
        if let Some(input) = &mut self.input {
            input.close();
        }
    }

    /// Sets the terminal's size; without a terminal there is nothing to do.
    pub(crate) fn resize(&self, columns: u32, rows: u32) -> std::io::Result<()> {
        let clamp = |n| u16::try_from(n).unwrap_or(u16::MAX);
        self.console.as_ref().map_or(Ok(()), |console| stdio::resize(console, clamp(columns), clamp(rows)))
    }

    /// Waits for the ends of the outputs, for at most `limit`, then lets go of everything.
    pub(crate) async fn close(mut self, limit: Duration) {
        self.input = None;
        let end = Instant::now() + limit;
        for output in &mut self.outputs {
            output.ended(end - Instant::now()).await;
        }
        if self.outputs.iter().any(Output::is_held_up) {
            crate::journal::warn("the end of the output is lost: what takes it has not done so in time");
        }
        self.outputs.clear();
        self.console = None;
        if let Some(log) = self.log.take()
            && let Some(loss) = log.close().await
        {
            crate::journal::warn(&loss.to_string());
        }
        if let Some((mut program, exit)) = self.program.take() {
            (program.stdout, program.stderr) = (None, None);
            program.stop(async { drop(exit.await) }).await;
        }
    }
}

fn parse(text: &str) -> Result<Target> {
    Target::parse(text).map_err(|cause| Error::invalid_argument(cause.to_string()))
}

async fn sink(target: &Target) -> Result<Sink> {
    match target {
        Target::Null => Ok(Sink::Null),
        Target::Fifo(path) => Sink::path(path, tell()).map_err(|e| cannot("open", path, e)),
        Target::File(path) => file(path).await,
        Target::Binary(uri) => {
            let text = format!("cannot log stderr by {} without stdout", uri.path.display());
            Err(Error::invalid_argument(text))
        }
    }
}

/// A file's sink, opened on a thread of its own: its disk may be stuck.
async fn file(path: &Path) -> Result<Sink> {
    let wanted = path.to_owned();
    let opened = tokio::task::spawn_blocking(move || Sink::file(&wanted, tell())).await;
    opened.unwrap_or_else(|cause| Err(cause.into())).map_err(|e| cannot("open", path, e))
}

/// Losses of output are told in the daemon's log.
fn tell() -> Tell {
    Arc::new(crate::journal::warn)
}

fn cannot(verb: &str, path: &Path, cause: std::io::Error) -> Error {
    Error::unknown(format!("cannot {verb} {}", path.display())).with_source(cause)
}

fn no_pipe(cause: std::io::Error) -> Error {
    Error::unknown("cannot make pipes for the process").with_source(cause)
}
