//! What must not be collected although no record says so yet: work in progress.

use std::collections::{HashMap, HashSet};
use std::hash::Hash;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

/// Something pinned.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Pin {
    /// A blob's file, by digest.
    Blob(String),
    /// An ingest with an open writer: namespace, reference.
    Ingest(String, String),
    /// A snapshot that is about to be a parent: namespace, snapshotter, key.
    Parent(String, String, String),
    /// A snapshot name about to come into being: namespace, snapshotter, key.
    Name(String, String, String),
}

#[derive(Default)]
struct Held {
    counts: HashMap<Pin, usize>,
    /// Blobs whose file is being removed.
    deleting: HashSet<String>,
}

/// All pins of a database.
#[derive(Clone, Default)]
pub(crate) struct Pins(Arc<(Mutex<Held>, Condvar)>);

/// A pin that lasts as long as this.
pub(crate) struct Guard {
    pins: Pins,
    pin: Pin,
}

impl Drop for Guard {
    fn drop(&mut self) {
        let mut held = self.pins.held();
        if let Some(count) = held.counts.get_mut(&self.pin) {
            *count -= 1;
            if *count == 0 {
                held.counts.remove(&self.pin);
            }
        }
    }
}

impl Pins {
    fn held(&self) -> MutexGuard<'_, Held> {
        self.0.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Pins; waits while the blob's file is being removed.
    pub(crate) fn pin(&self, pin: Pin) -> Guard {
        let mut held = self.held();
        if let Pin::Blob(digest) = &pin {
            while held.deleting.contains(digest) {
                held = self.0.1.wait(held).unwrap_or_else(PoisonError::into_inner);
            }
        }
        *held.counts.entry(pin.clone()).or_default() += 1;
        drop(held);
        Guard { pins: self.clone(), pin }
    }

    /// Pins unless it is pinned already.
    pub(crate) fn pin_alone(&self, pin: Pin) -> Option<Guard> {
        let mut held = self.held();
        if held.counts.contains_key(&pin) {
            return None;
        }
        held.counts.insert(pin.clone(), 1);
        drop(held);
        Some(Guard { pins: self.clone(), pin })
    }

    /// Whether it is pinned.
    pub(crate) fn is_pinned(&self, pin: &Pin) -> bool {
        self.held().counts.contains_key(pin)
    }

    /// Everything pinned now.
    pub(crate) fn all(&self) -> Vec<Pin> {
        self.held().counts.keys().cloned().collect()
    }

    /// Runs `remove` for a blob that nothing pins and `unused` confirms; new pins of it wait meanwhile.
    pub(crate) fn remove_blob<T>(
        &self,
        digest: &str,
        unused: impl FnOnce() -> bool,
        remove: impl FnOnce() -> T,
    ) -> Option<T> {
        {
            let mut held = self.held();
            if held.counts.contains_key(&Pin::Blob(digest.to_owned())) {
                return None;
            }
            held.deleting.insert(digest.to_owned());
        }
        // From here on a new pin waits, so a record cannot appear between the question and the removal.
        let result = unused().then(remove);
        self.held().deleting.remove(digest);
        self.0.1.notify_all();
        result
    }
}
