//! The logger: takes both streams of a container, keeps the log, serves who is attached.

use crate::attach::Hub;
use crate::file::LogFile;
use crate::lines::Lines;
use crate::{Driver, Options, Stream, Time, json_file, local};
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// How long after an error of the file the next try comes, when no bytes do.
const RETRY: Duration = Duration::from_millis(100);
/// How many tries there are at the close.
const LAST_TRIES: usize = 20;

/// One container's log. Errors of the file never stop the container: what cannot be written is
/// held (up to 4 MiB) and tried again.
pub struct Logger {
    log: Arc<Mutex<Log>>,
    hub: Option<Hub>,
}

struct Log {
    file: Option<LogFile>,
    streams: [Lines; 2],
    /// What stands in every entry of json-file; empty is nothing.
    attributes: String,
    /// A task tries again.
    retrying: bool,
}

impl Logger {
    /// Opens the file and the socket. Call it inside a tokio runtime.
    pub fn open(options: &Options) -> io::Result<Logger> {
        let file = match (&options.path, options.driver) {
            (_, Driver::None) | (None, _) => None,
            (Some(path), driver) => Some(LogFile::open(driver, path, options.max_size, options.max_file)?),
        };
        let hub = options.attach.as_deref().map(Hub::bind).transpose()?;
        let attributes = options.attributes.clone().unwrap_or_default();
        let log = Log { file, streams: Default::default(), attributes, retrying: false };
        Ok(Logger { log: Arc::new(Mutex::new(log)), hub })
    }

    /// Takes bytes of a stream; resolves when more may come. The bytes are logged and queued for
    /// readers even if the future is dropped after its first poll.
    pub async fn write(&self, stream: Stream, bytes: &[u8]) {
        if bytes.is_empty() {
            return;
        }
        self.keep(|log| log.push(stream, bytes));
        if let Some(hub) = &self.hub {
            hub.send(stream, bytes);
            hub.room().await;
        }
    }

    /// Says that no bytes are there for now: what was kept for the next ones is given back.
    pub fn rest(&self) {
        if let Some(file) = &mut lock(&self.log).file {
            file.rest();
        }
    }

    /// The stream has ended: a last line without newline is written as it is.
    pub fn finish(&self, stream: Stream) {
        self.keep(|log| log.finish(stream));
    }

    /// Ends the log and the connections of readers; returns how many entries were lost to a file
    /// that could not be written.
    pub async fn close(&self) -> u64 {
        for stream in [Stream::Stdout, Stream::Stderr] {
            self.finish(stream);
        }
        for _ in 0..LAST_TRIES {
            if lock(&self.log).flush().is_ok() {
                break;
            }
            tokio::time::sleep(RETRY).await;
        }
        if let Some(hub) = &self.hub {
            hub.close().await;
        }
        lock(&self.log).file.as_ref().map_or(0, LogFile::lost_entries)
    }

    fn keep(&self, change: impl FnOnce(&mut Log)) {
        let mut log = lock(&self.log);
        change(&mut log);
        if log.flush().is_err() && !log.retrying {
            log.retrying = true;
            tokio::spawn(retry(self.log.clone()));
        }
    }
}

async fn retry(log: Arc<Mutex<Log>>) {
    loop {
        tokio::time::sleep(RETRY).await;
        // Only this task holds it: the logger was dropped.
        let abandoned = Arc::strong_count(&log) == 1;
        let mut log = lock(&log);
        if log.flush().is_ok() || abandoned {
            log.retrying = false;
            return;
        }
    }
}

impl Log {
    fn push(&mut self, stream: Stream, bytes: &[u8]) {
        let Some(file) = &mut self.file else { return };
        let mut writer = Writer::new(file, stream, &self.attributes);
        self.streams[stream as usize - 1]
            .push(Time::now(), bytes, |time, piece, ends| writer.put(time, piece, ends));
    }

    fn finish(&mut self, stream: Stream) {
        let Some(file) = &mut self.file else { return };
        let mut writer = Writer::new(file, stream, &self.attributes);
        self.streams[stream as usize - 1].finish(|time, piece, ends| writer.put(time, piece, ends));
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.as_mut().map_or(Ok(()), LogFile::flush)
    }
}

/// Encodes pieces in the file's format; the text of a moment is made once.
struct Writer<'a> {
    file: &'a mut LogFile,
    stream: Stream,
    attributes: &'a str,
    moment: (Time, String),
}

impl<'a> Writer<'a> {
    fn new(file: &'a mut LogFile, stream: Stream, attributes: &'a str) -> Writer<'a> {
        Writer { file, stream, attributes, moment: (Time(i64::MIN), String::new()) }
    }

    fn put(&mut self, time: Time, piece: &[u8], ends: bool) {
        let driver = self.file.driver();
        let Some(out) = self.file.entry() else { return };
        if driver == Driver::Local {
            return local::encode(out, self.stream, time, piece, ends);
        }
        if self.moment.0 != time {
            self.moment = (time, time.rfc3339());
        }
        json_file::encode(out, self.stream, self.attributes, &self.moment.1, piece, ends);
    }
}

fn lock(log: &Mutex<Log>) -> MutexGuard<'_, Log> {
    log.lock().unwrap_or_else(PoisonError::into_inner)
}
