//! A container's logger for shims that run it as a program (containerd's `binary://` logging).
//!
//! Arguments are keys and values in turn; descriptor 3 is the container's stdout, 4 its stderr, 5
//! takes one byte when the log and the attach socket are open. It ends with both streams.

use errdefs::{Error, Result};
use logs::{Logger, Options, Stream};
use std::io::Write;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;
use stdio::{Output, Sink};

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("wherry-logger: {}", error.chain());
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<()> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    if !words.len().is_multiple_of(2) {
        return Err(Error::invalid_argument("cannot read arguments: a key has no value"));
    }
    let pairs = words.chunks_exact(2).map(|pair| (&pair[0], &pair[1]));
    let options = Options::from_pairs(pairs)
        .map_err(|cause| Error::invalid_argument("cannot read log options").with_source(cause))?;
    let cannot = |cause: std::io::Error| Error::unknown("cannot log").with_source(cause);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(cannot)?;
    runtime.block_on(log(&options)).map_err(cannot)
}

async fn log(options: &Options) -> std::io::Result<()> {
    let inherited = |number: i32, what: &str| {
        let missing = || std::io::Error::other(format!("descriptor {number} is not open: it is {what}"));
        syscalls::descriptors::set_close_on_exec(number, true);
        syscalls::descriptors::inherited(number).ok_or_else(missing)
    };
    let stdout = inherited(3, "the container's stdout")?;
    let stderr = inherited(4, "the container's stderr")?;
    let ready = inherited(5, "where the logger says that it is ready")?;
    let logger = Arc::new(Logger::open(options)?);
    // The shim asks it to end some time after the container has; it ends by itself before.
    let mut terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
    let mut outputs = [
        Output::start(stdout, Sink::Log(logger.clone(), Stream::Stdout))?,
        Output::start(stderr, Sink::Log(logger.clone(), Stream::Stderr))?,
    ];
    std::fs::File::from(ready).write_all(b"\0")?;
    let ended = async {
        for output in &mut outputs {
            output.ended(Duration::MAX).await;
        }
    };
    tokio::select! {
        () = ended => {}
        _ = terminate.recv() => {
            for output in &outputs {
                output.drain(Duration::from_secs(5)).await;
            }
        }
    }
    match logger.close().await {
        0 => Ok(()),
        lost => Err(std::io::Error::other(format!("{lost} entries were lost: the log could not be written"))),
    }
}
