//! What a transfer tells its client meanwhile; the words are containerd's.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use containerd_api::pack;
use containerd_api::types::transfer::Progress as Message;
use images::Descriptor;

use crate::services::streaming::Sender;

/// Byte counts of one blob are told no more often.
const INTERVAL: Duration = Duration::from_millis(100);

/// Where progress goes; nowhere, perhaps.
#[derive(Clone, Default)]
pub struct Progress(Option<Sender>);

impl Progress {
    /// Tells it to a client.
    pub fn new(sender: Sender) -> Progress {
        Progress(Some(sender))
    }

    /// Something about the whole.
    pub fn event(&self, event: impl Into<String>) {
        self.send(Message { event: event.into(), ..Message::default() });
    }

    /// Something about one blob or image.
    pub fn item(&self, event: &str, name: &str, descriptor: &Descriptor) {
        self.send(Message {
            event: event.to_owned(),
            name: name.to_owned(),
            desc: Some(descriptor.into()),
            ..Message::default()
        });
    }

    /// The meter of one blob below `parents`.
    pub fn meter(&self, descriptor: &Descriptor, parents: &[String]) -> Meter {
        Meter {
            progress: self.clone(),
            name: descriptor.reference(),
            parents: parents.to_vec(),
            descriptor: descriptor.clone(),
            last: Arc::new(Mutex::new(None)),
        }
    }

    /// Bytes of something that has no descriptor yet.
    pub fn bytes(&self, event: &str, name: &str, progress: u64, total: u64) {
        self.send(Message {
            event: event.to_owned(),
            name: name.to_owned(),
            progress: count(progress),
            total: count(total),
            ..Message::default()
        });
    }

    fn send(&self, message: Message) {
        if let Some(sender) = &self.0 {
            sender.send(pack(&message));
        }
    }
}

/// Tells the progress of one blob.
#[derive(Clone)]
pub struct Meter {
    progress: Progress,
    name: String,
    parents: Vec<String>,
    descriptor: Descriptor,
    last: Arc<Mutex<Option<Instant>>>,
}

impl Meter {
    /// A step that always counts.
    pub fn tell(&self, event: &str, bytes: u64) {
        self.progress.send(Message {
            event: event.to_owned(),
            name: self.name.clone(),
            parents: self.parents.clone(),
            progress: count(bytes),
            total: count(self.descriptor.size),
            desc: Some((&self.descriptor).into()),
        });
    }

    /// Bytes so far, told now and then.
    pub fn at(&self, event: &str, bytes: u64) {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        if last.is_none_or(|last| now.duration_since(last) >= INTERVAL) {
            *last = Some(now);
            drop(last);
            self.tell(event, bytes);
        }
    }

    /// The blob is whole, by this word.
    pub fn done(&self, event: &str) {
        self.tell(event, self.descriptor.size);
    }
}

fn count(bytes: u64) -> i64 {
    i64::try_from(bytes).unwrap_or(i64::MAX)
}
