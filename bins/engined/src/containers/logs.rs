//! Reading what a container wrote.

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use errdefs::{Error, Result};
use logs::Entry;
use tokio::sync::mpsc;

use super::{Container, stdio};
use crate::engine::Engine;
use crate::time::Time;

/// How much of a log is sent as one piece, at least.
const PIECE_BYTES: usize = 64 << 10;

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
) -> Result<mpsc::Receiver<io::Result<Bytes>>> {
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
    let details = match wish.details {
        true => details(&super::logging::attributes(engine, &record)?),
        false => String::new(),
    };
    let (send, receive) = mpsc::channel(4);
    let lines = Lines { wish, details, is_tty: record.is_tty() };
    tokio::spawn(async move {
        loop {
            let first = tokio::select! {
                entry = reader.next() => entry,
                () = send.closed() => return,
            };
            let (bytes, failed) = lines.piece(first, || reader.next_now());
            let ended = bytes.is_none() || failed.is_some();
            for answer in bytes.map(Ok).into_iter().chain(failed.map(Err)) {
                if send.send(answer).await.is_err() {
                    return;
                }
            }
            if ended {
                return;
            }
        }
    });
    Ok(receive)
}

/// How entries are shown to a client.
struct Lines {
    wish: Wish,
    details: String,
    is_tty: bool,
}

impl Lines {
    /// The entry that was waited for and whatever else is there already, as one piece: a client that reads back
    /// a long log gets few large pieces, one that follows gets each line at once. `None` is the log's end; the
    /// error comes after what was read before it.
    fn piece(
        &self,
        mut entry: io::Result<Option<Entry>>,
        mut next: impl FnMut() -> io::Result<Option<Entry>>,
    ) -> (Option<Bytes>, Option<io::Error>) {
        let mut piece = BytesMut::new();
        let mut read = 0;
        loop {
            match entry {
                Ok(Some(entry)) => {
                    read += entry.line.len();
                    self.show(&entry, &mut piece);
                }
                Ok(None) => return ((read > 0).then(|| piece.freeze()), None),
                Err(error) => return ((read > 0).then(|| piece.freeze()), Some(error)),
            }
            if read >= PIECE_BYTES {
                return (Some(piece.freeze()), None);
            }
            entry = next();
        }
    }

    fn show(&self, entry: &Entry, piece: &mut BytesMut) {
        let stream = stream_number(entry.stream);
        if (stream == 1 && !self.wish.stdout) || (stream == 2 && !self.wish.stderr) {
            return;
        }
        let time = if self.wish.timestamps { entry.time.rfc3339() + " " } else { String::new() };
        let parts = [time.as_bytes(), self.details.as_bytes(), &entry.line];
        if !self.is_tty {
            piece.extend_from_slice(&stdio::header(stream, parts.iter().map(|part| part.len()).sum()));
        }
        for part in parts {
            piece.extend_from_slice(part);
        }
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(stream: logs::Stream, line: &str) -> io::Result<Option<Entry>> {
        Ok(Some(Entry { stream, time: logs::Time(0), line: line.as_bytes().to_vec() }))
    }

    #[test]
    fn what_is_there_goes_as_one_piece() {
        let wish = Wish { stdout: true, timestamps: true, ..Wish::default() };
        let lines = Lines { wish, details: "a=b ".into(), is_tty: false };
        let mut rest =
            vec![Ok(None), entry(logs::Stream::Stderr, "no\n"), entry(logs::Stream::Stdout, "two\n")];
        let (piece, failed) = lines.piece(entry(logs::Stream::Stdout, "one\n"), || rest.pop().unwrap());
        let expected = ["one\n", "two\n"]
            .map(|line| stdio::frame(1, format!("1970-01-01T00:00:00Z a=b {line}").as_bytes()));
        assert_eq!(piece.unwrap(), expected.concat());
        assert!(failed.is_none());
    }

    #[test]
    fn a_log_ends_and_breaks_after_what_was_read() {
        let lines =
            Lines { wish: Wish { stdout: true, ..Wish::default() }, details: String::new(), is_tty: true };
        assert!(matches!(lines.piece(Ok(None), || unreachable!()), (None, None)));
        let broken = || Err(io::ErrorKind::InvalidData.into());
        let (piece, failed) = lines.piece(entry(logs::Stream::Stdout, "x"), broken);
        assert_eq!((&piece.unwrap()[..], failed.unwrap().kind()), (&b"x"[..], io::ErrorKind::InvalidData));
        assert!(matches!(lines.piece(broken(), || unreachable!()), (None, Some(_))));
        let long = "y".repeat(PIECE_BYTES);
        let (piece, _) = lines.piece(entry(logs::Stream::Stdout, &long), || unreachable!());
        assert_eq!(piece.unwrap().len(), PIECE_BYTES);
    }
}
