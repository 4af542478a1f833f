//! The logger: takes both streams of a container, keeps the log, serves who is attached.

use crate::attach::Hub;
use crate::desk::{self, Desk, Job, RETRY};
use crate::{Options, Stream, Time};
use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::Duration;

/// How many tries there are at the close, and how long they may take.
const LAST_TRIES: u32 = 20;
const LAST: Duration = Duration::from_secs(2);

/// One container's log. Errors of the file never stop the container: what cannot be written is
/// held (up to 4 MiB) and tried again. A file that hangs holds up the container, and nobody else.
pub struct Logger {
    desk: Option<Arc<Desk>>,
    hub: Option<Hub>,
}

/// What is not in a log that was closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Loss {
    /// So many entries, dropped while the file could not be written for long.
    Entries(u64),
    /// The end: the file could not be written in time.
    End,
}

impl fmt::Display for Loss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Loss::Entries(count) => write!(f, "{count} log entries were lost: the log could not be written"),
            Loss::End => write!(f, "the end of the log is lost: it could not be written in time"),
        }
    }
}

impl Logger {
    /// Opens the file and the socket. Call it inside a tokio runtime, as all of this.
    pub async fn open(options: &Options) -> io::Result<Logger> {
        let desk = desk::open(options).await?;
        let hub = options.attach.as_deref().map(Hub::bind).transpose()?;
        Ok(Logger { desk, hub })
    }

    /// Takes bytes of a stream; resolves when more may come. The bytes are logged and queued for
    /// readers even if the future is dropped after its first poll.
    pub async fn write(&self, stream: Stream, bytes: &[u8]) {
        if bytes.is_empty() {
            return;
        }
        let desk = self.desk.as_ref();
        let written = desk.map(|desk| desk.ask(Job::Push(stream, Time::now(), bytes.to_vec())));
        if let Some(hub) = &self.hub {
            hub.send(stream, bytes);
            hub.room().await;
        }
        if let Some(written) = written {
            // What could not be written is held, and tried again.
            let _ = written.await;
        }
    }

    /// Says that no bytes are there for now: what was kept for the next ones is given back.
    pub fn rest(&self) {
        if let Some(desk) = &self.desk {
            desk.rest();
        }
    }

    /// The stream has ended: a last line without newline is written as it is.
    pub fn finish(&self, stream: Stream) {
        if let Some(desk) = &self.desk {
            drop(desk.ask(Job::Finish(stream)));
        }
    }

    /// Ends the log and the connections of readers; says what was lost to a file that could not be
    /// written.
    pub async fn close(&self) -> Option<Loss> {
        let loss = match &self.desk {
            Some(desk) => self.close_file(desk).await,
            None => None,
        };
        if let Some(hub) = &self.hub {
            hub.close().await;
        }
        loss
    }

    async fn close_file(&self, desk: &Arc<Desk>) -> Option<Loss> {
        for stream in [Stream::Stdout, Stream::Stderr] {
            self.finish(stream);
        }
        let tries = async {
            for _ in 0..LAST_TRIES {
                if desk.ask(Job::Flush).await.unwrap_or(false) {
                    return true;
                }
                tokio::time::sleep(RETRY).await;
            }
            false
        };
        match tokio::time::timeout(LAST, tries).await {
            Ok(true) => Some(desk.lost_entries()).filter(|lost| *lost > 0).map(Loss::Entries),
            Ok(false) | Err(_) => Some(Loss::End),
        }
    }
}
