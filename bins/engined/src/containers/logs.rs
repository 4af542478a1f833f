//! Reading what a container wrote.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use errdefs::{Error, Result};
use tokio::sync::mpsc;

use super::{Container, stdio};
use crate::engine::Engine;
use crate::time::Time;

/// Which part of a log a client wants, and how.
#[derive(Clone, Debug, Default)]
pub struct Wish {
    pub follow: bool,
    pub stdout: bool,
    pub stderr: bool,
    pub timestamps: bool,
    /// What was chosen of labels and variables goes before each line.
    pub details: bool,
    pub since: Option<Time>,
    pub until: Option<Time>,
    pub tail: Option<u64>,
}

/// Where a container's log is.
pub fn path(container: &Container) -> PathBuf {
    let name = match container.record().host_config.log_config.kind.as_str() {
        "json-file" => format!("{}-json.log", container.id),
        kind if super::logging::is_sent(kind) => "container-cached.log".to_owned(),
        _ => "container.log".to_owned(),
    };
    container.file(&name)
}

/// Opens a container's log for reading.
///
/// # Errors
/// Its driver keeps nothing.
pub fn open(container: &Container, selection: logs::Selection) -> Result<logs::Reader> {
    let driver = super::logging::kept_as(&container.record().host_config.log_config)?;
    let path = path(container);
    logs::Reader::open(driver, &path, selection).map_err(crate::files::failed("open", &path))
}

/// 1 for standard output, 2 for standard error.
pub fn stream_number(stream: logs::Stream) -> u8 {
    match stream {
        logs::Stream::Stdout => 1,
        logs::Stream::Stderr => 2,
    }
}

/// Sends a container's log, framed or raw as its terminal asks, until its end or, when followed,
/// that of the container.
///
/// # Errors
/// The wish is malformed, or the log cannot be opened.
pub fn logs(
    engine: &Engine,
    container: &Arc<Container>,
    wish: Wish,
) -> Result<mpsc::Receiver<std::io::Result<Bytes>>> {
    if !wish.stdout && !wish.stderr {
        return Err(Error::invalid_argument("Bad parameters: you must choose at least one stream"));
    }
    let at = |time: Option<Time>| time.map(log_time);
    let mut reader =
        open(container, logs::Selection { tail: wish.tail, since: at(wish.since), until: at(wish.until) })?;
    let record = container.record();
    if wish.follow && container.progress.borrow().is_running {
        let mut progress = container.progress.subscribe();
        let before = progress.borrow().exits;
        reader.follow_until(async move {
            let _ = progress.wait_for(|now| now.is_removed || (!now.is_running && now.exits > before)).await;
        });
    }
    let details =
        if wish.details { Some(details(&super::logging::attributes(engine, &record)?)) } else { None };
    let (send, receive) = mpsc::channel(16);
    let is_tty = record.is_tty();
    tokio::spawn(async move {
        loop {
            let entry = tokio::select! {
                entry = reader.next() => entry,
                () = send.closed() => return,
            };
            let entry = match entry {
                Ok(Some(entry)) => entry,
                Ok(None) => return,
                Err(error) => {
                    let _ = send.send(Err(error)).await;
                    return;
                }
            };
            let stream = stream_number(entry.stream);
            if (stream == 1 && !wish.stdout) || (stream == 2 && !wish.stderr) {
                continue;
            }
            let mut line = Vec::with_capacity(entry.line.len() + 32);
            if wish.timestamps {
                line.extend_from_slice(entry.time.rfc3339().as_bytes());
                line.push(b' ');
            }
            if let Some(details) = &details {
                line.extend_from_slice(details.as_bytes());
            }
            line.extend_from_slice(&entry.line);
            let bytes = if is_tty { Bytes::from(line) } else { stdio::frame(stream, &line) };
            if send.send(Ok(bytes)).await.is_err() {
                return;
            }
        }
    });
    Ok(receive)
}

/// `a=1,b=2 `, with what has a meaning there escaped.
fn details(attributes: &BTreeMap<String, String>) -> String {
    let escape = super::stdio::encode;
    let pairs: Vec<String> =
        attributes.iter().map(|(key, value)| format!("{}={}", escape(key), escape(value))).collect();
    format!("{} ", pairs.join(","))
}

fn log_time(time: Time) -> logs::Time {
    logs::Time(time.0)
}
