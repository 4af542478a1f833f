//! A container's logger for shims that run it as a program (containerd's `binary://` logging).
//!
//! Arguments are keys and values in turn; descriptor 3 is the container's stdout, 4 its stderr, 5
//! takes one byte when the log and the attach socket are open. It ends with both streams.

use errdefs::{Error, Result};
use log_forward::{Target, forward};
use logs::{Logger, Loss, Options, Reader, Selection, Stream};
use std::io::Write;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;
use stdio::{Output, Sink};

/// How long each entry that is left at the end is tried to be sent to a server that is away.
const LAST_TRIES: Duration = Duration::from_secs(2);

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
    let pairs: Vec<(&str, &str)> =
        words.chunks_exact(2).map(|pair| (pair[0].as_str(), pair[1].as_str())).collect();
    let is_sent = pairs.iter().any(|(key, value)| *key == "driver" && log_forward::DRIVERS.contains(value));
    let kept = if is_sent { cache(&pairs) } else { pairs.clone() };
    let options = Options::from_pairs(kept)
        .map_err(|cause| Error::invalid_argument("cannot read log options").with_source(cause))?;
    let cannot = |cause: std::io::Error| Error::unknown("cannot log").with_source(cause);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(cannot)?;
    runtime.block_on(async {
        let sent = if is_sent { Some(open(&pairs, &options).await?) } else { None };
        log(&options, sent).await.map_err(cannot)
    })
}

/// A log that is sent on is kept here first: `docker logs` reads it, and a server that is away is waited for.
fn cache<'a>(pairs: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
    const KEPT: [&str; 5] = ["path", "attach", "terminal", "max-size", "max-file"];
    let kept = pairs.iter().filter(|(key, _)| KEPT.contains(key)).copied();
    kept.chain([("driver", "local")]).collect()
}

/// Where a log is sent to, and the reader of what is yet to be written.
type Sent = (Target, Reader);

async fn open(pairs: &[(&str, &str)], options: &Options) -> Result<Sent> {
    let target = Target::open(pairs.iter().copied())
        .await
        .map_err(|cause| Error::unavailable("failed to initialize logging driver").with_source(cause))?;
    let path = options.path.clone().unwrap_or_default();
    let from_here = Selection { tail: Some(0), since: None, until: None };
    let reader = Reader::open(options.driver, path, from_here)
        .map_err(|cause| Error::unknown("cannot read the log").with_source(cause))?;
    Ok((target, reader))
}

async fn log(options: &Options, sent: Option<Sent>) -> std::io::Result<()> {
    let inherited = |number: i32, what: &str| {
        let missing = || std::io::Error::other(format!("descriptor {number} is not open: it is {what}"));
        syscalls::descriptors::set_close_on_exec(number, true);
        syscalls::descriptors::inherited(number).ok_or_else(missing)
    };
    let stdout = inherited(3, "the container's stdout")?;
    let stderr = inherited(4, "the container's stderr")?;
    let ready = inherited(5, "where the logger says that it is ready")?;
    let logger = Arc::new(Logger::open(options).await?);
    // The shim asks it to end some time after the container has; it ends by itself before.
    let mut terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
    let mut outputs = [
        Output::start(stdout, Sink::Log(logger.clone(), Stream::Stdout))?,
        Output::start(stderr, Sink::Log(logger.clone(), Stream::Stderr))?,
    ];
    let (over, is_over) = tokio::sync::watch::channel(false);
    let sending = sent.map(|(mut target, mut reader)| {
        let (mut ended, is_over) = (is_over.clone(), is_over);
        reader.follow_until(async move { drop(ended.wait_for(|over| *over).await) });
        let send = async move { forward(&mut target, &mut reader, || *is_over.borrow(), LAST_TRIES).await };
        tokio::spawn(send)
    });
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
    let mut lost = logger.close().await;
    over.send_replace(true);
    if let Some(sending) = sending {
        let unsent = sending.await.map_err(std::io::Error::other)??;
        lost = lost.or((unsent > 0).then_some(Loss::Entries(unsent)));
    }
    lost.map_or(Ok(()), |loss| Err(std::io::Error::other(loss.to_string())))
}
