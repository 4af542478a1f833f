//! Finding the shims of the daemon's former life.

use super::bundle::Bundle;
use super::{Serving, Shim, Shims, log, runtime, strays};
use crate::config::Timeouts;
use containerd_api::runtime::sandbox::v1::{PingRequest, PingResponse};
use containerd_api::task::v3::{PidsRequest, PidsResponse, ShutdownRequest};
use errdefs::{Error, Kind, Result};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// How long a shim may hold up the start of the daemon.
const HOLD_UP: Duration = Duration::from_millis(500);
/// Between the tries to find a shim that could not be looked for.
const PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
/// How long the shim of several tasks may take to make one whose maker has died, and how often it is looked for.
const MAKING: Duration = Duration::from_secs(2);
const LOOK: Duration = Duration::from_millis(100);

/// Whether a failure proves that a bundle has no shim with its task: nobody listens at its address, there is no
/// address, or who listens knows no such task. Everything else leaves the task alone, which may run on.
fn is_proof(error: &Error) -> bool {
    error.kind() == Kind::NotFound || super::is_closed(error)
}

/// What is at a bundle's address.
enum Found {
    /// A shim, and whether it has said that it has its task.
    Shim(Arc<Shim>, bool),
    /// One that says that it has no such task.
    Deserted(Arc<Shim>, Error),
}

impl Shims {
    /// Takes every task back whose shim answers; the others are ended, cleaned and reported. Shims are asked
    /// side by side, so that one that is stuck delays nobody.
    pub async fn load(&self) -> Result<()> {
        let bundles = self.inner.layout.list()?;
        let loads: Vec<_> = bundles
            .into_iter()
            .map(|bundle| {
                let shims = self.clone();
                tokio::spawn(async move { shims.load_one(bundle).await })
            })
            .collect();
        for load in loads {
            load.await.map_err(|e| Error::internal("cannot load a shim").with_source(e))?;
        }
        Ok(())
    }

    async fn load_one(&self, bundle: Bundle) {
        match self.find(&bundle).await {
            Ok(found) => self.settle(found).await,
            Err(error) if is_proof(&error) => self.give_up(&bundle, &error).await,
            Err(error) => {
                self.warn(&bundle, &error);
                tokio::spawn(self.clone().find_later(bundle));
            }
        }
    }

    async fn settle(&self, found: Found) {
        match found {
            Found::Shim(shim, answered) => self.take_back(&shim, answered),
            Found::Deserted(shim, error) => self.leave(shim, &error).await,
        }
    }

    /// Gives a task up that its shim does not have. A shim of others, too, goes on with them.
    async fn leave(&self, shim: Arc<Shim>, error: &Error) {
        if self.is_shared(&shim.bundle) {
            self.warn(&shim.bundle, error);
            tokio::spawn(self.clone().leave_shared(shim));
        } else {
            self.give_up(&shim.bundle, error).await;
        }
    }

    /// As the shim goes on, so may its making of the task: what comes of it is taken.
    async fn leave_shared(self, shim: Arc<Shim>) {
        let end = tokio::time::Instant::now() + MAKING;
        while tokio::time::Instant::now() < end {
            tokio::time::sleep(LOOK).await;
            match self.probe(&shim).await {
                Ok(()) => return self.take_back(&shim, true),
                Err(error) if super::is_closed(&error) => break,
                Err(_) => {}
            }
        }
        self.clean_and_report(&shim.bundle, &shim.binary).await;
        let request = ShutdownRequest { id: shim.bundle.id.clone(), now: false };
        // It may have been the last of its tasks; one that does not answer has others to say so.
        let limit = Some(Timeouts::set().shim_shutdown);
        let _ = shim.client.call_within::<_, ()>("Shutdown", &request, limit).await;
    }

    /// Whether the shim of a bundle is, or may be, that of others.
    fn is_shared(&self, bundle: &Bundle) -> bool {
        let Ok(own) = bundle.load_bootstrap() else { return false };
        let others = self.inner.layout.list().unwrap_or_default();
        let is_other = |other: &Bundle| {
            other.path != bundle.path && other.load_bootstrap().is_ok_and(|at| at.address == own.address)
        };
        bundle.sandbox().is_some() || others.iter().any(is_other)
    }

    fn take_back(&self, shim: &Arc<Shim>, answered: bool) {
        shim.former.store(true, Ordering::Relaxed);
        self.adopt(shim);
        if self.inner.serving == Serving::Sandboxes {
            return;
        }
        if !answered {
            tokio::spawn(self.clone().ask_again(shim.clone()));
        }
        let (shims, shim) = (self.clone(), shim.clone());
        tokio::spawn(async move { shims.tell_missed(shim).await });
    }

    /// Ends what is left of a task that has no shim any more.
    async fn give_up(&self, bundle: &Bundle, error: &Error) {
        self.warn(bundle, error);
        let (strayed, binary) = (bundle.clone(), self.binary(bundle));
        // The end of a blocking step is all there is to know of it.
        let _ = tokio::task::spawn_blocking(move || strays::end(&strayed)).await;
        self.clean_and_report(bundle, &binary).await;
    }

    /// Tries again to find a shim that may well be there: its failure was this daemon's, for want of descriptors
    /// or memory, say.
    async fn find_later(self, bundle: Bundle) {
        let mut pause = PAUSE;
        loop {
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
            if !bundle.path.exists() {
                return;
            }
            match self.find(&bundle).await {
                Ok(found) => return self.settle(found).await,
                Err(error) if is_proof(&error) => return self.give_up(&bundle, &error).await,
                Err(error) => self.warn(&bundle, &error),
            }
        }
    }

    fn warn(&self, bundle: &Bundle, error: &Error) {
        tracing::warn!(id = bundle.id, namespace = bundle.namespace, "cannot load task: {}", error.chain());
    }

    /// A shim that was too slow to hold up the start says now whether it has its task.
    async fn ask_again(self, shim: Arc<Shim>) {
        let request = PidsRequest { id: shim.bundle.id.clone() };
        let limit = Some(Timeouts::set().shim_load);
        let answer = shim.client.call_within::<_, PidsResponse>("Pids", &request, limit).await;
        let Err(error) = answer else { return };
        if error.kind() == Kind::NotFound && self.forget(&shim) {
            self.leave(shim, &error).await;
        }
    }

    /// The shim of a bundle.
    async fn find(&self, bundle: &Bundle) -> Result<Found> {
        let bootstrap = bundle.load_bootstrap()?;
        // A task whose log is not to be read is a task all the same.
        let log = log::forward(bundle).inspect_err(|error| self.warn(bundle, error)).ok();
        let shim = super::connect(bundle.clone(), self.binary(bundle), log, &bootstrap).await?;
        match self.probe(&shim).await {
            // Only a shim that says it has no such task is known to be a leftover of a creation cut short.
            Err(error) if error.kind() == Kind::NotFound => Ok(Found::Deserted(shim, error)),
            Err(error) if super::is_closed(&error) => Err(error),
            // Any other failure may pass: the task is kept, and its calls will tell.
            answer => Ok(Found::Shim(shim, answer.is_ok())),
        }
    }

    /// Asks whether a shim has what its bundle is for.
    async fn probe(&self, shim: &Shim) -> Result<()> {
        let id = shim.bundle.id.clone();
        match self.inner.serving {
            Serving::Tasks => {
                let request = PidsRequest { id };
                shim.client.call_within::<_, PidsResponse>("Pids", &request, Some(HOLD_UP)).await.map(drop)
            }
            Serving::Sandboxes => {
                let request = PingRequest { sandbox_id: id };
                shim.client
                    .call_sandbox::<_, PingResponse>("PingSandbox", &request, Some(HOLD_UP))
                    .await
                    .map(drop)
            }
        }
    }

    fn binary(&self, bundle: &Bundle) -> PathBuf {
        let noted = bundle.load_shim_binary().filter(|path| path.exists());
        noted
            .or_else(|| runtime::resolve(runtime::WHERRY_RUNTIME, &self.inner.search).ok())
            .unwrap_or_default()
    }
}
