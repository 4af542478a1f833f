//! The ends of tasks, told to subscribers: each once, whichever life of the daemon hears of it.
//!
//! A file in the bundle says that the end was told. A shim that lost the daemon's answer, or never knew that
//! the daemon was gone, sends the end again: it is dropped. A shim that gave up sending while nobody listened
//! is asked, and the end is told in its place.

use super::bundle::Bundle;
use super::{Shim, Shims};
use containerd_api::events::{TaskDelete, TaskExit};
use containerd_api::task::v3::{StateRequest, StateResponse};
use containerd_api::types::Envelope;
use containerd_api::v1::types::Status;
use containerd_api::{pack, unpack};
use errdefs::{Kind, Result};
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};
use std::time::{Duration, SystemTime};

const TOPIC: &str = "/tasks/exit";
const DELETED: &str = "/tasks/delete";
/// How long a shim, that sends again what it could not, has for it; subscribers come back meanwhile, too.
const GRACE: Duration = Duration::from_secs(2);

impl Shims {
    /// Passes an event of a shim on, unless it is the end of a task that was told before. An end from before
    /// this life of the daemon waits for subscribers to come back; should the daemon die meanwhile, it is not
    /// noted yet, and told in the next life.
    pub fn forward(&self, envelope: Envelope) -> Result<()> {
        let Some((bundle, exit)) = self.ended_in(&envelope) else {
            if let Some(shim) = self.deserted_in(&envelope) {
                tokio::spawn(self.clone().look_for_task(shim));
            }
            return self.inner.exchange.forward(envelope);
        };
        if let Ok(shim) = self.get(&envelope.namespace, &exit.id) {
            // Before subscribers hear of it, who may look at a list next.
            shim.unlearn();
        }
        let exited_at = exit.exited_at.and_then(|at| SystemTime::try_from(at).ok());
        let Some(missed) = exited_at.filter(|at| *at < self.inner.started) else {
            return self.tell(&bundle, || self.inner.exchange.forward(envelope));
        };
        let since = SystemTime::now().duration_since(self.inner.started).unwrap_or_default();
        tracing::debug!(id = bundle.id, ?missed, "told once subscribers may be back");
        let shims = self.clone();
        tokio::spawn(async move {
            tokio::time::sleep(GRACE.saturating_sub(since)).await;
            if let Err(error) = shims.tell(&bundle, || shims.inner.exchange.forward(envelope)) {
                tracing::error!(id = bundle.id, "cannot publish {TOPIC}: {}", error.chain());
            }
        });
        Ok(())
    }

    /// The shim of a former life whose task was deleted, as an event tells: nobody may be there who lets it go.
    fn deserted_in(&self, envelope: &Envelope) -> Option<Arc<Shim>> {
        if envelope.topic != DELETED {
            return None;
        }
        let deleted = unpack::<TaskDelete>(envelope.event.as_ref()?).ok()?;
        let shim = self.get(&envelope.namespace, &deleted.container_id).ok()?;
        shim.told_deletion.store(true, Ordering::Relaxed);
        shim.former.load(Ordering::Relaxed).then_some(shim)
    }

    /// Lets a shim go that has no task any more, unless who deleted it does.
    async fn look_for_task(self, shim: Arc<Shim>) {
        tokio::time::sleep(GRACE).await;
        let request = StateRequest { id: shim.bundle.id.clone(), exec_id: String::new() };
        let state = shim.client.call_within::<_, StateResponse>("State", &request, Some(GRACE)).await;
        if state.is_err_and(|error| error.kind() == Kind::NotFound) {
            self.release_deserted(shim).await;
        }
    }

    /// The end of a task that an event tells, and the task's bundle.
    fn ended_in(&self, envelope: &Envelope) -> Option<(Bundle, TaskExit)> {
        if envelope.topic != TOPIC {
            return None;
        }
        let exit = unpack::<TaskExit>(envelope.event.as_ref()?).ok()?;
        let is_task = exit.id == exit.container_id
            && metadata::validate_identifier(&exit.id).is_ok()
            && metadata::validate_identifier(&envelope.namespace).is_ok();
        is_task.then(|| (self.inner.layout.bundle(&envelope.namespace, &exit.id), exit))
    }

    /// Publishes an end once.
    pub(super) fn tell(&self, bundle: &Bundle, publish: impl FnOnce() -> Result<()>) -> Result<()> {
        let _one_at_a_time = self.inner.telling.lock().unwrap_or_else(PoisonError::into_inner);
        if bundle.is_exit_told() {
            return Ok(());
        }
        publish()?;
        // Noted after: a daemon killed in between tells it twice, rather than never.
        bundle.note_exit_told();
        Ok(())
    }

    /// Tells the end of a task that ended while nobody listened, if its shim does not.
    pub(super) async fn tell_missed(&self, shim: Arc<Shim>) {
        if shim.bundle.is_exit_told() {
            return;
        }
        let request = StateRequest { id: shim.bundle.id.clone(), exec_id: String::new() };
        let state = shim.client.call_within::<_, StateResponse>("State", &request, Some(GRACE)).await;
        // One that runs will tell its end itself; of one that does not answer nothing is known.
        let Some(state) = state.ok().filter(|state| state.status == Status::Stopped as i32) else { return };
        tokio::time::sleep(GRACE).await;
        if !self.is_current(&shim) {
            return;
        }
        let exit = TaskExit {
            container_id: shim.bundle.id.clone(),
            id: shim.bundle.id.clone(),
            pid: state.pid,
            exit_status: state.exit_status,
            exited_at: state.exited_at,
        };
        let told = self
            .tell(&shim.bundle, || self.inner.exchange.publish(&shim.bundle.namespace, TOPIC, pack(&exit)));
        if let Err(error) = told {
            tracing::error!(id = shim.bundle.id, "cannot publish {TOPIC}: {}", error.chain());
        }
    }

    /// Whether a task by this shim is still known.
    pub(super) fn is_current(&self, shim: &Shim) -> bool {
        self.read(|tasks| tasks.running.get(&shim.key()).is_some_and(|found| std::ptr::eq(&**found, shim)))
    }
}
