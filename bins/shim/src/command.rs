//! Running a runtime's command: its output is read while it runs, its exit comes from the reaper.

use crate::reaper::{Exit, Reaper};
use errdefs::{Error, Result};
use oci_runtime::{LogMark, Runtime};
use rustix::fs::{Mode, OFlags};
use std::io::{self, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::process::Command;
use std::time::Duration;
use tokio::net::unix::pipe;
use tokio::sync::oneshot;

/// No more of a command's output is kept, in bytes.
const MAX_OUTPUT_BYTES: usize = 64 * 1024;

/// Standard streams for a command that becomes a container's process.
pub(crate) struct Streams {
    pub(crate) stdin: OwnedFd,
    pub(crate) stdout: OwnedFd,
    pub(crate) stderr: OwnedFd,
}

/// Runs a verb of the runtime; a failure is its last logged error behind `what`.
pub(crate) async fn run(
    reaper: &Reaper,
    runtime: &Runtime,
    what: &str,
    command: Command,
    streams: Option<Streams>,
) -> Result<()> {
    let mark = runtime.log_mark();
    let outcome = match streams {
        Some(streams) => with_streams(reaper, command, streams).await,
        None => captured(reaper, command, Vec::new()).await,
    };
    judge(runtime, what, mark, outcome)
}

/// Like [`run`], with bytes for the command's stdin.
pub(crate) async fn run_with_input(
    reaper: &Reaper,
    runtime: &Runtime,
    what: &str,
    command: Command,
    input: Vec<u8>,
) -> Result<()> {
    let mark = runtime.log_mark();
    let outcome = captured(reaper, command, input).await;
    judge(runtime, what, mark, outcome)
}

type Outcome = io::Result<(Exit, String)>;

fn judge(runtime: &Runtime, what: &str, mark: LogMark, outcome: Outcome) -> Result<()> {
    let cause = match &outcome {
        Ok((exit, _)) if exit.status == 0 => return Ok(()),
        Ok((exit, output)) => format!("exit status {}: {}", exit.status, output.trim()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            format!("exec: {:?}: executable file not found in $PATH", runtime.binary.display())
        }
        Err(error) => error.to_string(),
    };
    let cause = cause.trim_end_matches([':', ' ']);
    Err(Error::unknown(match runtime.last_error(mark) {
        Ok(Some(logged)) => format!("OCI runtime {what} failed: {logged}"),
        Ok(None) => format!("OCI runtime {what} failed: unable to retrieve OCI runtime error: {cause}"),
        Err(error) => {
            format!("OCI runtime {what} failed: unable to retrieve OCI runtime error ({error}): {cause}")
        }
    }))
}

async fn with_streams(reaper: &Reaper, command: Command, streams: Streams) -> Outcome {
    let fds = [streams.stdin.as_fd(), streams.stdout.as_fd(), streams.stderr.as_fd()];
    let exit = spawn(reaper, &command, fds)?;
    // Their ends are for the container alone.
    drop(streams);
    Ok((exited(exit).await?, String::new()))
}

async fn captured(reaper: &Reaper, command: Command, input: Vec<u8>) -> Outcome {
    let output = stdio::pipe(None)?;
    let stdin = if input.is_empty() { null()? } else { file_of(&input)? };
    let mut exit = spawn(reaper, &command, [stdin.as_fd(), output.write.as_fd(), output.write.as_fd()])?;
    drop((stdin, output.write));
    let reader = pipe::Receiver::from_owned_fd(output.read)?;
    let mut text = Vec::new();
    let exit = tokio::select! {
        exit = exited_ref(&mut exit) => exit?,
        // At the end of output the exit is near.
        () = read_all(&reader, &mut text) => exited(exit).await?,
    };
    // What it wrote last may not have been seen; a child that it left may hold the pipe for ever.
    read_there(&reader, &mut text);
    Ok((exit, String::from_utf8_lossy(&text).into_owned()))
}

/// Starts the command, which ends with this process.
fn spawn(
    reaper: &Reaper,
    command: &Command,
    streams: [BorrowedFd<'_>; 3],
) -> io::Result<oneshot::Receiver<Exit>> {
    Ok(reaper.watch(syscalls::child::start(command, streams)?.as_raw_nonzero().get()))
}

/// The stream that is empty and takes everything.
pub(crate) fn null() -> io::Result<OwnedFd> {
    Ok(rustix::fs::open("/dev/null", OFlags::RDWR | OFlags::CLOEXEC, Mode::empty())?)
}

async fn exited(exit: oneshot::Receiver<Exit>) -> io::Result<Exit> {
    exit.await.map_err(io::Error::other)
}

async fn exited_ref(exit: &mut oneshot::Receiver<Exit>) -> io::Result<Exit> {
    exit.await.map_err(io::Error::other)
}

/// A file in memory that holds `bytes`, read from the start.
fn file_of(bytes: &[u8]) -> io::Result<OwnedFd> {
    let fd = rustix::fs::memfd_create("input", rustix::fs::MemfdFlags::CLOEXEC)?;
    let mut file = std::fs::File::from(fd);
    file.write_all(bytes)?;
    io::Seek::rewind(&mut file)?;
    Ok(file.into())
}

async fn read_all(reader: &pipe::Receiver, text: &mut Vec<u8>) {
    while reader.readable().await.is_ok() {
        if read_there(reader, text) {
            return;
        }
    }
}

/// Reads what is there; true at the end.
fn read_there(reader: &pipe::Receiver, text: &mut Vec<u8>) -> bool {
    let mut chunk = [0; 4096];
    loop {
        match reader.try_read(&mut chunk) {
            Ok(0) => return true,
            Ok(n) => {
                let room = MAX_OUTPUT_BYTES.saturating_sub(text.len());
                text.extend_from_slice(&chunk[..n.min(room)]);
            }
            Err(error) => return error.kind() != io::ErrorKind::WouldBlock,
        }
    }
}

/// Runs another program to its end, however it ends, for at most `limit`.
pub(crate) async fn run_program(
    reaper: &Reaper,
    command: Command,
    input: Vec<u8>,
    limit: Duration,
) -> std::result::Result<(), String> {
    match tokio::time::timeout(limit, captured(reaper, command, input)).await {
        Ok(Ok((exit, _))) if exit.status == 0 => Ok(()),
        Ok(Ok((exit, output))) => Err(format!("exit status {}: {}", exit.status, output.trim())),
        Ok(Err(error)) => Err(error.to_string()),
        Err(_) => Err("it takes too long".to_owned()),
    }
}
