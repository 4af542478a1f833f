//! Running a runtime's command: its output is read while it runs, its exit comes from the reaper.

use crate::reaper::{Exit, Reaper};
use errdefs::{Error, Result};
use oci_runtime::{LogMark, Runtime};
use std::io::{self, Write};
use std::os::fd::OwnedFd;
use std::process::{Command, Stdio};
use std::time::Duration;
use tokio::net::unix::pipe;

/// No more of a command's output is kept, in bytes.
const MAX_OUTPUT_BYTES: usize = 64 * 1024;

/// Standard streams for a command that becomes a container's process.
pub(crate) struct Streams {
    pub(crate) stdin: Stdio,
    pub(crate) stdout: Stdio,
    pub(crate) stderr: Stdio,
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

async fn with_streams(reaper: &Reaper, mut command: Command, streams: Streams) -> Outcome {
    command.stdin(streams.stdin).stdout(streams.stdout).stderr(streams.stderr);
    let exit = spawn(reaper, command)?;
    Ok((exited(exit).await?, String::new()))
}

async fn captured(reaper: &Reaper, mut command: Command, input: Vec<u8>) -> Outcome {
    let output = stdio::pipe(None)?;
    let stdin = if input.is_empty() { Stdio::null() } else { Stdio::from(file_of(&input)?) };
    command.stdin(stdin).stdout(output.write.try_clone()?).stderr(output.write);
    let mut exit = spawn(reaper, command)?;
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

/// Starts the command; what it held of ours is closed before this returns.
fn spawn(reaper: &Reaper, mut command: Command) -> io::Result<tokio::sync::oneshot::Receiver<Exit>> {
    syscalls::spawn::die_with_parent(&mut command);
    let child = command.spawn()?;
    Ok(reaper.watch(i32::try_from(child.id()).map_err(io::Error::other)?))
}

async fn exited(exit: tokio::sync::oneshot::Receiver<Exit>) -> io::Result<Exit> {
    exit.await.map_err(io::Error::other)
}

async fn exited_ref(exit: &mut tokio::sync::oneshot::Receiver<Exit>) -> io::Result<Exit> {
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
