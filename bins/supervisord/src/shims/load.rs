//! Finding the shims of the daemon's former life.

use super::bundle::Bundle;
use super::{Serving, Shim, Shims, log, runtime, strays};
use crate::config::Timeouts;
use containerd_api::runtime::sandbox::v1::{PingRequest, PingResponse};
use containerd_api::task::v3::{PidsRequest, PidsResponse};
use errdefs::{Error, Kind, Result};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// How long a shim may hold up the start of the daemon.
const HOLD_UP: Duration = Duration::from_millis(500);

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
            Ok((shim, answered)) => {
                self.adopt(&shim);
                if self.inner.serving == Serving::Sandboxes {
                    return;
                }
                if !answered {
                    tokio::spawn(self.clone().ask_again(shim.clone()));
                }
                let shims = self.clone();
                tokio::spawn(async move { shims.tell_missed(shim).await });
            }
            Err(error) => {
                tracing::warn!(
                    id = bundle.id,
                    namespace = bundle.namespace,
                    "cannot load task: {}",
                    error.chain()
                );
                let (strayed, binary) = (bundle.clone(), self.binary(&bundle));
                // The end of a blocking step is all there is to know of it.
                let _ = tokio::task::spawn_blocking(move || strays::end(&strayed)).await;
                self.clean_and_report(&bundle, &binary).await;
            }
        }
    }

    /// A shim that was too slow to hold up the start says now whether it has its task.
    async fn ask_again(self, shim: Arc<Shim>) {
        let request = PidsRequest { id: shim.bundle.id.clone() };
        let limit = Some(Timeouts::set().shim_load);
        let answer = shim.client.call_within::<_, PidsResponse>("Pids", &request, limit).await;
        if answer.is_err_and(|error| error.kind() == Kind::NotFound) && self.forget(&shim) {
            let strayed = shim.bundle.clone();
            let _ = tokio::task::spawn_blocking(move || strays::end(&strayed)).await;
            self.clean_and_report(&shim.bundle, &shim.binary).await;
        }
    }

    /// The shim of a bundle, and whether it has answered.
    async fn find(&self, bundle: &Bundle) -> Result<(Arc<Shim>, bool)> {
        let bootstrap = bundle.load_bootstrap()?;
        let log = log::forward(bundle)?;
        let shim = super::connect(bundle.clone(), self.binary(bundle), log, &bootstrap).await?;
        match self.probe(&shim).await {
            // Only a shim that says it has no such task is known to be a leftover of a creation cut short.
            Err(error) if error.kind() == Kind::NotFound || super::is_closed(&error) => Err(error),
            // Any other failure may pass: the task is kept, and its calls will tell.
            answer => Ok((shim, answer.is_ok())),
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
