//! The log behind a queue. What is asked of it is done in order, on a thread that is there while there is something
//! to do: a disk that hangs holds up who writes to this log, and nothing else.

use crate::file::LogFile;
use crate::lines::Lines;
use crate::{Driver, Stream, Time, json_file, local};
use std::io;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::sync::oneshot;

/// How long after an error of the file the next try comes, when no bytes do.
pub(crate) const RETRY: Duration = Duration::from_millis(100);

/// The queue and the log.
pub(crate) struct Desk {
    queue: Mutex<Queue>,
    /// Held while the disk is waited for: only the thread waits for this lock.
    log: Mutex<Log>,
    /// A task tries again.
    retrying: AtomicBool,
    lost_entries: AtomicU64,
}

#[derive(Default)]
struct Queue {
    jobs: Vec<Asked>,
    /// A thread is at work on it.
    is_served: bool,
}

/// A job, and who waits for it.
type Asked = (Job, oneshot::Sender<bool>);

/// What is asked.
pub(crate) enum Job {
    /// Bytes of a stream, and when they came.
    Push(Stream, Time, Vec<u8>),
    /// A stream's end.
    Finish(Stream),
    /// Another try to write what is held.
    Flush,
}

/// The log itself.
struct Log {
    file: LogFile,
    streams: [Lines; 2],
    /// What stands in every entry of json-file; empty is nothing.
    attributes: String,
}

impl Desk {
    pub(crate) fn new(file: LogFile, attributes: String) -> Arc<Desk> {
        let log = Log { file, streams: Default::default(), attributes };
        Arc::new(Desk {
            queue: Mutex::default(),
            log: Mutex::new(log),
            retrying: AtomicBool::new(false),
            lost_entries: AtomicU64::new(0),
        })
    }

    /// Queues a job. It is done, whether the answer is waited for or not: whether all was written then.
    pub(crate) fn ask(self: &Arc<Self>, job: Job) -> oneshot::Receiver<bool> {
        let (answer, done) = oneshot::channel();
        let mut queue = lock(&self.queue);
        queue.jobs.push((job, answer));
        if !std::mem::replace(&mut queue.is_served, true) {
            let desk = self.clone();
            tokio::task::spawn_blocking(move || desk.serve());
        }
        done
    }

    /// Gives back what was kept for the next bytes; if there is work, there are next bytes.
    pub(crate) fn rest(&self) {
        if let Ok(mut log) = self.log.try_lock() {
            log.file.rest();
        }
    }

    /// How many entries were dropped for want of room.
    pub(crate) fn lost_entries(&self) -> u64 {
        self.lost_entries.load(Ordering::Relaxed)
    }

    fn serve(self: Arc<Self>) {
        loop {
            let mut queue = lock(&self.queue);
            if queue.jobs.is_empty() {
                queue.is_served = false;
                return;
            }
            let jobs = std::mem::take(&mut queue.jobs);
            drop(queue);
            self.work(jobs);
        }
    }

    fn work(self: &Arc<Self>, jobs: Vec<Asked>) {
        let mut log = lock(&self.log);
        let mut waiting = Vec::with_capacity(jobs.len());
        for (job, answer) in jobs {
            match job {
                Job::Push(stream, time, bytes) => log.push(stream, time, &bytes),
                Job::Finish(stream) => log.finish(stream),
                Job::Flush => {}
            }
            waiting.push(answer);
        }
        let is_written = log.file.flush().is_ok();
        self.lost_entries.store(log.file.lost_entries(), Ordering::Relaxed);
        drop(log);
        for answer in waiting {
            // Who does not wait does not hear.
            let _ = answer.send(is_written);
        }
        if !is_written && !self.retrying.swap(true, Ordering::Relaxed) {
            Handle::current().spawn(self.clone().retry());
        }
    }

    async fn retry(self: Arc<Self>) {
        loop {
            tokio::time::sleep(RETRY).await;
            // Only this task holds it: the logger was dropped.
            let abandoned = Arc::strong_count(&self) == 1;
            if self.ask(Job::Flush).await.unwrap_or(true) || abandoned {
                return self.retrying.store(false, Ordering::Relaxed);
            }
        }
    }
}

impl Log {
    fn push(&mut self, stream: Stream, time: Time, bytes: &[u8]) {
        let mut writer = Writer::new(&mut self.file, stream, &self.attributes);
        self.streams[stream as usize - 1]
            .push(time, bytes, |time, piece, ends| writer.put(time, piece, ends));
    }

    fn finish(&mut self, stream: Stream) {
        let mut writer = Writer::new(&mut self.file, stream, &self.attributes);
        self.streams[stream as usize - 1].finish(|time, piece, ends| writer.put(time, piece, ends));
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

/// Opens the file on a thread: its disk may hang.
pub(crate) async fn open(options: &crate::Options) -> io::Result<Option<Arc<Desk>>> {
    let (Some(path), driver) = (options.path.clone(), options.driver) else { return Ok(None) };
    if driver == Driver::None {
        return Ok(None);
    }
    let (max_size, max_file) = (options.max_size, options.max_file);
    let opened = tokio::task::spawn_blocking(move || LogFile::open(driver, &path, max_size, max_file));
    let file = opened.await.map_err(io::Error::other)??;
    Ok(Some(Desk::new(file, options.attributes.clone().unwrap_or_default())))
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
