//! Sending a container's log on to where others keep it: syslog, journald, fluentd, GELF.
//!
//! [`Target::open`] reads key and value pairs: `driver`, the driver's own options in Docker's words, what is told
//! about the container (`about.id`, `about.name`, ...), and further fields (`extra.KEY`). [`Target::send`] sends
//! one entry and makes a broken connection anew; [`forward`] sends what a log reader gives.

mod about;
mod fluentd;
mod gelf;
mod journald;
mod msgpack;
mod syslog;
mod tls;
mod wire;

use std::collections::BTreeMap;
use std::io;
use std::time::Duration;

use logs::{Entry, Reader};

pub use about::About;

/// The drivers.
pub const DRIVERS: [&str; 4] = ["syslog", "journald", "fluentd", "gelf"];

/// The first and the longest pause before an entry is sent once more.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LAST_PAUSE: Duration = Duration::from_secs(5);

/// Why a target cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// An option makes no sense; the text says why.
    #[error("{0}")]
    Option(String),
    /// It cannot be reached.
    #[error("cannot reach {target}")]
    Reach {
        /// Its address.
        target: String,
        /// What the system says.
        source: io::Error,
    },
}

/// Pairs by key.
pub(crate) struct Options(BTreeMap<String, String>);

impl Options {
    pub(crate) fn text(&self, key: &str) -> &str {
        self.0.get(key).map_or("", String::as_str)
    }

    pub(crate) fn has(&self, key: &str) -> bool {
        self.0.contains_key(key)
    }

    pub(crate) fn is(&self, key: &str) -> bool {
        matches!(self.text(key), "1" | "t" | "T" | "true" | "TRUE" | "True")
    }
}

/// Where a log goes.
pub struct Target(Kind);

enum Kind {
    Syslog(syslog::Syslog),
    Journald(journald::Journald),
    Fluentd(fluentd::Fluentd),
    Gelf(gelf::Gelf),
}

impl Target {
    /// Reads the pairs and connects; keys of others are passed over.
    ///
    /// # Errors
    /// An option makes no sense, or the other side cannot be reached.
    pub async fn open<K: Into<String>, V: Into<String>>(
        pairs: impl IntoIterator<Item = (K, V)>,
    ) -> Result<Target, Error> {
        let options = Options(pairs.into_iter().map(|(key, value)| (key.into(), value.into())).collect());
        let about = About::of(&options);
        Ok(Target(match options.text("driver") {
            "syslog" => Kind::Syslog(syslog::Syslog::open(&options, &about).await?),
            "journald" => Kind::Journald(journald::Journald::open(&options, &about)?),
            "fluentd" => Kind::Fluentd(fluentd::Fluentd::open(&options, about).await?),
            "gelf" => Kind::Gelf(gelf::Gelf::open(&options, &about).await?),
            other => return Err(Error::Option(format!("no such log driver: {other}"))),
        }))
    }

    /// Sends one entry, its newline left out.
    ///
    /// # Errors
    /// The connection broke and could not be made anew; the entry may be sent again.
    pub async fn send(&mut self, entry: &Entry) -> io::Result<()> {
        match &mut self.0 {
            Kind::Syslog(syslog) => syslog.send(entry).await,
            Kind::Journald(journald) => journald.send(entry).await,
            Kind::Fluentd(fluentd) => fluentd.send(entry).await,
            Kind::Gelf(gelf) => gelf.send(entry).await,
        }
    }
}

/// Sends all that the reader gives until its end. While the other side is away the log waits where it is, and the
/// reader with it; at the end each entry gets `last` long, and what cannot be sent then is counted as lost.
///
/// # Errors
/// The log cannot be read.
pub async fn forward(
    target: &mut Target,
    reader: &mut Reader,
    is_over: impl Fn() -> bool,
    last: Duration,
) -> io::Result<u64> {
    let mut lost = 0;
    while let Some(entry) = reader.next().await? {
        let mut pause = FIRST_PAUSE;
        let mut waited = Duration::ZERO;
        while target.send(&entry).await.is_err() {
            if is_over() && waited >= last {
                lost += 1;
                break;
            }
            tokio::time::sleep(pause).await;
            waited += pause;
            pause = (pause * 2).min(LAST_PAUSE);
            if is_over() {
                pause = pause.min(FIRST_PAUSE * 2);
            }
        }
    }
    Ok(lost)
}

/// What an entry says, without the newline.
pub(crate) fn line(entry: &Entry) -> &[u8] {
    entry.line.strip_suffix(b"\n").unwrap_or(&entry.line)
}
