//! Between a hijacked connection and this process's own stdin, stdout and stderr.

use std::io::{self, IsTerminal};

use engine_client::{Client, Hijacked, ReadHalf, WriteHalf};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::grammar::Failure;
use crate::output::{Demultiplexer, Target, write_to};
use crate::terminal::{self, DetachKeys, DetachScanner, RawMode, Signals};

const CHUNK: usize = 32 * 1024;
const SIGWINCH: i32 = 28;
/// Hangup, interrupt, quit, termination.
const FATAL: &[i32] = &[1, 2, 3, 15];

/// What flows.
pub struct Flow {
    /// Raw bytes of a terminal instead of frames.
    pub tty: bool,
    pub stdin: bool,
    pub stdout: bool,
    pub stderr: bool,
    pub detach: DetachKeys,
}

/// Why the flow ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// The container closed its streams.
    Closed,
    /// The person typed the detach keys.
    Detached,
}

/// Copies both ways until the output ends or the person detaches.
///
/// # Errors
/// Stdin cannot be made raw, or the output cannot be written.
pub async fn flow(connection: Hijacked, flow: Flow) -> Result<Ended, Failure> {
    let raw = flow.tty && flow.stdin && io::stdin().is_terminal();
    let _raw = if raw { Some(RawMode::enter()?) } else { None };
    let Hijacked { read, write, .. } = connection;
    let wants_output = flow.stdout || flow.stderr;
    let scanner = (flow.stdin && flow.tty).then(|| DetachScanner::new(flow.detach.clone()));
    let input = async {
        if !flow.stdin {
            // Kept open: closing would end the container's stdin for other clients.
            let _write = write;
            return std::future::pending().await;
        }
        copy_in(write, scanner).await
    };
    let output = async { if wants_output { copy_out(read, flow.tty).await } else { wait_end(read).await } };
    // A signal that ends us must not leave the terminal raw.
    let ended_by = async {
        match raw.then(|| Signals::catch(FATAL)).and_then(Result::ok) {
            Some(mut signals) => signals.next().await,
            None => std::future::pending().await,
        }
    };
    tokio::pin!(input, output, ended_by);
    tokio::select! {
        biased;
        number = &mut ended_by => return Err(Failure::silent(exit_of_signal(number))),
        result = &mut output => return result.map(|()| Ended::Closed),
        ended = &mut input => {
            if ended == Ended::Detached {
                return Ok(ended);
            }
        }
    }
    // Also where nothing is shown: an engine that loses its client may miss the end of the input.
    tokio::select! {
        biased;
        number = ended_by => return Err(Failure::silent(exit_of_signal(number))),
        result = output => result?,
    }
    Ok(Ended::Closed)
}

/// How a shell tells that a signal ended a program.
fn exit_of_signal(number: i32) -> u8 {
    u8::try_from(128 + number).unwrap_or(u8::MAX)
}

/// Stdin to the container; its end is a half-close.
async fn copy_in(mut write: WriteHalf, mut scanner: Option<DetachScanner>) -> Ended {
    let mut stdin = tokio::io::stdin();
    let mut buffer = vec![0; CHUNK];
    loop {
        // A read error is an end: there is nothing more to send.
        let count = stdin.read(&mut buffer).await.unwrap_or(0);
        if count == 0 {
            break;
        }
        let sent = match &mut scanner {
            Some(scanner) => {
                let scanned = scanner.scan(&buffer[..count]);
                let sent = write.write_all(&scanned.pass).await;
                if scanned.detach {
                    return Ended::Detached;
                }
                sent
            }
            None => write.write_all(&buffer[..count]).await,
        };
        if sent.is_err() {
            // The container is gone; its output tells the rest.
            return Ended::Closed;
        }
    }
    let _ = write.shutdown().await;
    // The reading half keeps the connection open.
    Ended::Closed
}

async fn copy_out(mut read: ReadHalf, tty: bool) -> Result<(), Failure> {
    let mut buffer = vec![0; CHUNK];
    let mut sink = FrameSink::new(tty);
    loop {
        match read.read(&mut buffer).await {
            Ok(0) => return Ok(()),
            Ok(count) => sink.write(&buffer[..count])?,
            // Engines that die reset the connection; what they sent was shown.
            Err(error) if error.kind() == io::ErrorKind::ConnectionReset => return Ok(()),
            Err(error) => return Err(error.into()),
        }
    }
}

async fn wait_end(mut read: ReadHalf) -> Result<(), Failure> {
    let mut buffer = vec![0; CHUNK];
    while read.read(&mut buffer).await? > 0 {}
    Ok(())
}

/// Writes a container's output to stdout and stderr.
pub struct FrameSink {
    frames: Option<Demultiplexer>,
    /// Payloads for one of the two, gathered: a line is a frame, and a call a line is slow.
    gathered: (Target, Vec<u8>),
}

impl FrameSink {
    pub fn new(tty: bool) -> Self {
        Self { frames: (!tty).then(Demultiplexer::default), gathered: (Target::Stdout, Vec::new()) }
    }

    /// Takes bytes as they came, and writes all of them that are output.
    ///
    /// # Errors
    /// Bad frames, or nobody reads.
    pub fn write(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        let Some(frames) = &mut self.frames else {
            return write_to(&mut io::stdout().lock(), bytes);
        };
        let gathered = &mut self.gathered;
        let fed = frames.feed(bytes, |target, payload| -> Result<(), Failure> {
            if target != gathered.0 {
                put_out(gathered)?;
                gathered.0 = target;
            }
            gathered.1.extend_from_slice(payload);
            Ok(())
        });
        put_out(&mut self.gathered).and(fed)
    }
}

fn put_out((target, bytes): &mut (Target, Vec<u8>)) -> Result<(), Failure> {
    if bytes.is_empty() {
        return Ok(());
    }
    let written = match target {
        Target::Stdout => write_to(&mut io::stdout().lock(), bytes),
        Target::Stderr => write_to(&mut io::stderr().lock(), bytes),
    };
    bytes.clear();
    written
}

/// Keeps a container's (or exec's) terminal as large as ours; never ends.
pub async fn follow_window(engine: &Client, object: &str) {
    let Ok(mut changes) = Signals::catch(&[SIGWINCH]) else { return };
    loop {
        resize(engine, object).await;
        changes.next().await;
    }
}

/// Tells our window's size; tried again while the process is not there yet.
pub async fn resize(engine: &Client, object: &str) {
    let Some((rows, columns)) = terminal::window() else { return };
    for attempt in 0..10u64 {
        let request = engine.post(&format!("{object}/resize"));
        let sent = request.query("h", rows.to_string()).query("w", columns.to_string()).done().await;
        if sent.is_ok() {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10 * (attempt + 1))).await;
    }
}
