//! The store's records, remembered as long as the supervisor tells of every change.

use std::sync::{Arc, Mutex};

use containerd_api::services::images::v1::Image as StoredImage;

/// What is remembered, and whether it may be.
#[derive(Default)]
pub struct Records(Mutex<State>);

#[derive(Default)]
struct State {
    /// The supervisor's events are heard.
    is_told: bool,
    /// Counts the changes: what was asked for before one is not what is there after it.
    changes: u64,
    all: Option<Arc<Vec<StoredImage>>>,
}

/// How far the changes had come when somebody began to ask.
#[derive(Clone, Copy)]
pub struct Asked(u64);

impl Records {
    /// All records, if they are remembered; else what to say when they have been asked for.
    pub fn known(&self) -> Result<Arc<Vec<StoredImage>>, Asked> {
        let state = self.state();
        state.all.clone().ok_or(Asked(state.changes))
    }

    /// Remembers an answer, unless something changed while it came.
    pub fn keep(&self, asked: Asked, all: &Arc<Vec<StoredImage>>) {
        let mut state = self.state();
        if state.is_told && state.changes == asked.0 {
            state.all = Some(all.clone());
        }
    }

    /// A record was made, moved or removed, by whomever.
    pub fn changed(&self) {
        let mut state = self.state();
        state.changes += 1;
        state.all = None;
    }

    /// From now on every change is told, or none is.
    pub fn told(&self, is_told: bool) {
        self.state().is_told = is_told;
        self.changed();
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.0.lock().expect("no panic while held")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_kept_until_something_changes() {
        let records = Records::default();
        let all = Arc::new(vec![StoredImage::default()]);
        let ask = || records.known().expect_err("nothing is remembered");
        records.keep(ask(), &all);
        ask();
        records.told(true);
        let asked = ask();
        records.changed();
        records.keep(asked, &all);
        records.keep(ask(), &all);
        assert_eq!(*records.known().ok().unwrap(), *all);
        records.changed();
        records.keep(ask(), &all);
        records.told(false);
        records.keep(ask(), &all);
        ask();
    }
}
