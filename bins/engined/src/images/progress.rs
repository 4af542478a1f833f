//! A transfer's progress, in the messages that Docker's clients draw.

use std::collections::HashMap;
use std::future::Future;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use containerd_api::types::Descriptor;
use containerd_api::types::transfer::Progress;
use containerd_api::unpack;
use engine_api::progress::{Detail, ErrorDetail, Message};
use errdefs::{Error, Result};
use tokio::sync::{mpsc, oneshot};

use crate::identity::short;
use crate::supervisor::stream::Stream;

/// The body of an answer, piece by piece.
pub type Told = mpsc::Receiver<std::io::Result<Bytes>>;

/// Where the messages go: the body of an answer.
#[derive(Clone)]
pub struct Report {
    send: mpsc::Sender<std::io::Result<Bytes>>,
    /// What is told before anything else, but not when there is nothing else.
    heading: Arc<Mutex<Option<Message>>>,
}

impl Report {
    /// A report and the body that it fills.
    pub fn new() -> (Report, Told) {
        let (send, receive) = mpsc::channel(64);
        (Report { send, heading: Arc::default() }, receive)
    }

    /// A line about one thing that goes before the next message; without one it is never told.
    pub fn heading(&self, id: &str, status: &str) {
        let message = Message { id: id.to_owned(), status: status.to_owned(), ..Message::default() };
        *self.heading.lock().expect("no panic while held") = Some(message);
    }

    /// Sends one message; a client that is gone misses nothing.
    pub async fn send(&self, message: &Message) {
        let heading = self.heading.lock().expect("no panic while held").take();
        for message in heading.iter().chain([message]) {
            let mut line = serde_json::to_vec(message).unwrap_or_default();
            line.extend_from_slice(b"\r\n");
            let _ = self.send.send(Ok(Bytes::from(line))).await;
        }
    }

    /// A line without a layer.
    pub async fn status(&self, status: impl Into<String>) {
        self.send(&Message { status: status.into(), ..Message::default() }).await;
    }

    /// How far something is.
    pub async fn bytes(&self, id: &str, status: &str, current: u64, total: u64) {
        let count = |bytes: u64| i64::try_from(bytes).unwrap_or(i64::MAX);
        let detail = Detail { current: count(current), total: count(total), ..Detail::default() };
        self.send(&Message {
            id: id.to_owned(),
            status: status.to_owned(),
            progress: bar(&detail),
            progress_detail: Some(detail),
            ..Message::default()
        })
        .await;
    }

    /// Text as it is.
    pub async fn text(&self, text: impl Into<String>) {
        self.send(&Message { stream: text.into(), ..Message::default() }).await;
    }

    /// The last message of a work that failed.
    pub async fn error(&self, error: &Error) {
        let message = error.chain();
        self.send(&Message {
            error_detail: Some(ErrorDetail { message: message.clone(), ..ErrorDetail::default() }),
            error: message,
            ..Message::default()
        })
        .await;
    }

    /// Runs a work until its end or until the client goes away; a failure is the last message.
    pub fn run(self, work: impl Future<Output = Result<()>> + Send + 'static) {
        tokio::spawn(async move {
            tokio::select! {
                result = work => if let Err(error) = result {
                    self.error(&error).await;
                },
                () = self.send.closed() => {}
            }
        });
    }

    /// Runs a work as [`Report::run`] does, but answers only when it tells something.
    ///
    /// # Errors
    /// The work's own, when it failed before it told anything: it is a status, then, and no message.
    pub async fn begin(
        self,
        mut body: Told,
        work: impl Future<Output = Result<()>> + Send + 'static,
    ) -> Result<Told> {
        let (fail, mut failed) = oneshot::channel();
        // Whoever does not take the error any more gets it as a message.
        self.run(async move { work.await.or_else(|error| fail.send(error)) });
        let first = tokio::select! {
            biased;
            Ok(error) = &mut failed => return Err(error),
            first = body.recv() => first,
        };
        failed.close();
        match failed.try_recv() {
            Ok(error) => Err(error),
            Err(_) => Ok(put_back(first, body)),
        }
    }
}

/// Waits for the first thing told.
pub async fn first_told(mut told: Told) -> Told {
    let first = told.recv().await;
    put_back(first, told)
}

/// The body with its first piece.
fn put_back(first: Option<std::io::Result<Bytes>>, mut rest: Told) -> Told {
    let (send, receive) = mpsc::channel(64);
    let mut next = first;
    tokio::spawn(async move {
        while let Some(piece) = next {
            if send.send(piece).await.is_err() {
                return;
            }
            next = tokio::select! {
                piece = rest.recv() => piece,
                () = send.closed() => return,
            };
        }
    });
    receive
}

/// What became of each thing that a transfer told of.
#[derive(Default)]
pub struct Seen {
    /// Names of images that were written.
    pub saved: Vec<String>,
    /// What went to a registry, when the supervisor tells.
    pub pushed: Option<Descriptor>,
    /// Whether anything had to be fetched.
    pub is_new: bool,
    states: HashMap<String, String>,
}

/// Which way the bytes go decides the words.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    Pull,
    Push,
    /// Loads and saves: no line for a layer.
    Local,
}

/// Turns a transfer's progress into messages until the supervisor closes the stream.
pub async fn follow(mut stream: Stream, report: Report, direction: Direction) -> Seen {
    let mut seen = Seen::default();
    while let Some(message) = stream.next().await {
        let Ok(progress) = unpack::<Progress>(&message) else { continue };
        if progress.event == "saved" {
            seen.saved.push(progress.name.clone());
        }
        if progress.event == "pushed content" {
            seen.pushed.clone_from(&progress.desc);
        }
        if let Some(message) = seen.message(&progress, direction) {
            report.send(&message).await;
        }
    }
    seen
}

impl Seen {
    /// The message for one step; none when it says nothing new.
    fn message(&mut self, progress: &Progress, direction: Direction) -> Option<Message> {
        let is_layer = progress.desc.as_ref().is_some_and(|descriptor| {
            descriptor.media_type.contains("layer") || descriptor.media_type.contains("rootfs")
        });
        let (word, has_detail) = match (progress.event.as_str(), direction) {
            ("downloading", Direction::Pull) => ("Downloading", true),
            ("waiting", Direction::Pull) => ("Pulling fs layer", false),
            ("complete", Direction::Pull) => ("Download complete", false),
            ("already exists", Direction::Pull) => ("Already exists", false),
            ("extracting", Direction::Pull) => ("Extracting", true),
            ("extracted", Direction::Pull) => ("Pull complete", false),
            ("waiting", Direction::Push) => ("Preparing", false),
            ("uploading" | "pushing", Direction::Push) => ("Pushing", true),
            ("complete", Direction::Push) => ("Pushed", false),
            ("already exists", Direction::Push) => ("Layer already exists", false),
            ("mounted", Direction::Push) => ("Mounted from another repository", false),
            _ => return None,
        };
        if matches!(progress.event.as_str(), "downloading" | "complete" | "extracting" | "extracted") {
            self.is_new = true;
        }
        if !is_layer || direction == Direction::Local {
            return None;
        }
        let digest =
            progress.desc.as_ref().map_or(progress.name.as_str(), |descriptor| descriptor.digest.as_str());
        let id = short(digest.trim_start_matches("sha256:")).to_owned();
        let before = self.states.insert(id.clone(), word.to_owned());
        if before.as_deref() == Some(word) && !has_detail {
            return None;
        }
        let detail = has_detail.then(|| Detail {
            current: progress.progress,
            total: progress.total,
            ..Detail::default()
        });
        Some(Message {
            status: word.into(),
            progress: detail.as_ref().map(bar).unwrap_or_default(),
            progress_detail: Some(detail.unwrap_or_default()),
            id,
            ..Message::default()
        })
    }
}

/// The bar that old clients print as it is.
fn bar(detail: &Detail) -> String {
    if detail.total <= 0 {
        return size(detail.current);
    }
    let filled = usize::try_from(detail.current.clamp(0, detail.total) * 50 / detail.total).unwrap_or(0);
    format!(
        "[{}>{}]  {}/{}",
        "=".repeat(filled),
        " ".repeat(50 - filled),
        size(detail.current),
        size(detail.total)
    )
}

/// Bytes in units of 1000, four digits, as Docker prints them.
fn size(bytes: i64) -> String {
    let mut value = bytes as f64;
    let mut units = ["B", "kB", "MB", "GB", "TB"].into_iter();
    let mut unit = units.next().unwrap_or_default();
    while value >= 1000.0 {
        let Some(next) = units.next() else { break };
        value /= 1000.0;
        unit = next;
    }
    let digits = if value >= 1000.0 {
        0
    } else if value >= 100.0 {
        1
    } else if value >= 10.0 {
        2
    } else {
        3
    };
    let text = format!("{value:.digits$}");
    let text = if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.') } else { &text };
    format!("{text}{unit}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn progress(event: &str, current: i64) -> Progress {
        let desc = Descriptor {
            media_type: "application/vnd.oci.image.layer.v1.tar+gzip".into(),
            digest: format!("sha256:{}", "ab".repeat(32)),
            ..Descriptor::default()
        };
        Progress {
            event: event.into(),
            progress: current,
            total: 2000,
            desc: Some(desc),
            ..Progress::default()
        }
    }

    #[test]
    fn a_layers_life_in_dockers_words() {
        let mut seen = Seen::default();
        let words: Vec<String> =
            ["waiting", "downloading", "downloading", "complete", "complete", "extracted"]
                .iter()
                .filter_map(|event| seen.message(&progress(event, 1000), Direction::Pull))
                .map(|message| message.status)
                .collect();
        assert_eq!(
            words,
            ["Pulling fs layer", "Downloading", "Downloading", "Download complete", "Pull complete"]
        );
        assert!(seen.is_new);
    }

    #[test]
    fn sizes_and_bars() {
        assert_eq!(size(999), "999B");
        assert_eq!(size(1_500_000), "1.5MB");
        let detail = Detail { current: 1000, total: 2000, ..Detail::default() };
        assert!(bar(&detail).ends_with("1kB/2kB"));
    }
}
