//! What is known of a task without asking its shim: lists of many tasks answer from it.
//!
//! A task's state changes by what it is told through here, which makes it unknown, and by its end, which the shim
//! answers to a call that waits for it. While that call is open what the shim said last still holds.

use super::Shim;
use containerd_api::task::v3::{WaitRequest, WaitResponse};
use containerd_api::v1::types::{Process, Status};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The knowledge of one task.
#[derive(Default)]
pub struct Known(Mutex<State>);

#[derive(Default)]
struct State {
    /// Counts what made it unknown: an answer from before is none.
    changes: u64,
    process: Option<Process>,
    /// The end of the task is being waited for.
    is_watched: bool,
}

/// A moment in the life of a task.
#[derive(Clone, Copy)]
pub struct Moment(u64);

impl Known {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Shim {
    /// How the task is, if it is known.
    pub fn known(&self) -> Option<Process> {
        self.known.state().process.clone()
    }

    /// This moment, before the shim is asked.
    pub fn moment(&self) -> Moment {
        Moment(self.known.state().changes)
    }

    /// Notes an answer of the shim that was asked at `moment`.
    pub fn learn(self: &Arc<Self>, moment: Moment, process: &Process) {
        // From here on its end is heard of, if that has not been before.
        self.watch(process.status == Status::Stopped as i32);
        let mut state = self.known.state();
        if state.changes == moment.0 {
            state.process = Some(process.clone());
        }
    }

    /// The task changes, or has: what was known is not any more.
    pub fn unlearn(&self) {
        let mut state = self.known.state();
        state.changes += 1;
        state.process = None;
    }

    fn watch(self: &Arc<Self>, has_ended: bool) {
        if has_ended || std::mem::replace(&mut self.known.state().is_watched, true) {
            return;
        }
        let shim = self.clone();
        tokio::spawn(async move {
            let request = WaitRequest { id: shim.bundle.id.clone(), exec_id: String::new() };
            let ended = shim.client.call::<_, WaitResponse>("Wait", &request).await;
            if ended.is_err() {
                shim.known.state().is_watched = false;
            }
            shim.unlearn();
        });
    }
}
