//! The end of shims: asked for by a deletion, or come upon by their death.

use super::bundle::Bundle;
use super::{Serving, Shim, Shims, strays};
use crate::config::Timeouts;
use containerd_api::events::{SandboxExit, TaskDelete, TaskExit};
use containerd_api::task::v2::DeleteResponse;
use containerd_api::task::v3::ShutdownRequest;
use errdefs::Result;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::SystemTime;
use tokio::task::spawn_blocking;

/// The status of a task whose end nobody saw.
const UNKNOWN_EXIT: u32 = 255;

impl Shims {
    /// Lets a shim go whose task is deleted, and removes the bundle. Doing so twice is no failure.
    pub async fn release(&self, shim: &Shim) -> Result<()> {
        self.forget(shim);
        let release = async || {
            let request = ShutdownRequest { id: shim.bundle.id.clone(), now: false };
            let limit = Some(Timeouts::set().shim_shutdown);
            // A shim that has hung up or does not answer is gone or going: the bundle is removed all the same.
            let _ = shim.client.call_within::<_, ()>("Shutdown", &request, limit).await;
            let bundle = shim.bundle.clone();
            blocking(move || bundle.delete()).await
        };
        shim.released.get_or_try_init(release).await.map(drop)
    }

    /// Lets a shim go that says that it has no such task: one that was deleted by a former life of the daemon,
    /// which did not live to let it go.
    pub async fn release_deserted(&self, shim: Arc<Shim>) {
        if !self.is_current(&shim) || shim.deleted.initialized() {
            return;
        }
        tracing::warn!(
            id = shim.bundle.id,
            namespace = shim.bundle.namespace,
            "shim has no task; letting it go"
        );
        if let Err(error) = self.release(&shim).await {
            tracing::error!(id = shim.bundle.id, "cannot let a shim go: {}", error.chain());
        }
    }

    /// Undoes a start whose task could not be made.
    pub async fn abandon(&self, shim: &Shim) {
        self.forget(shim);
        self.clean(&shim.bundle, &shim.binary).await;
        let request = ShutdownRequest { id: shim.bundle.id.clone(), now: true };
        let _ =
            shim.client.call_within::<_, ()>("Shutdown", &request, Some(Timeouts::set().shim_shutdown)).await;
    }

    /// Kills a shim that does not end what it was asked for, with the runtime that it waits for.
    pub async fn kill(&self, shim: &Shim) {
        let bundle = shim.bundle.clone();
        // The end of a blocking step is all there is to know of it.
        let _ = spawn_blocking(move || strays::end(&bundle)).await;
    }

    /// A shim hung up. Unless its task was deleted, the task is ended, cleaned and reported.
    pub(super) async fn bury(&self, shim: &Shim) {
        if shim.ending.load(Ordering::Relaxed) || !self.forget(shim) {
            return;
        }
        let id = &shim.bundle.id;
        tracing::warn!(id, namespace = shim.bundle.namespace, "shim has gone; cleaning up after it");
        if shim.told_deletion.load(Ordering::Relaxed) {
            self.clean(&shim.bundle, &shim.binary).await;
        } else {
            self.clean_and_report(&shim.bundle, &shim.binary).await;
        }
    }

    /// Cleans up after a dead shim, and tells the end of its task, if it had one and nobody told it before.
    pub(super) async fn clean_and_report(&self, bundle: &Bundle, binary: &Path) {
        let (had_process, was_told) = (bundle.has_process(), bundle.is_exit_told());
        let response = self.clean(bundle, binary).await;
        if had_process {
            match self.inner.serving {
                Serving::Tasks => self.report(bundle, response, was_told),
                Serving::Sandboxes => self.report_sandbox(bundle, response),
            }
        }
    }

    /// Kills what a shim left and removes its bundle; says how the task ended, as far as the shim's binary knows.
    pub(super) async fn clean(&self, bundle: &Bundle, binary: &Path) -> Option<DeleteResponse> {
        let (daemon, bundle, binary): (_, _, PathBuf) =
            (self.inner.daemon.clone(), bundle.clone(), binary.to_owned());
        let cleaned = blocking(move || {
            let response = daemon.delete_task(&bundle, &binary, Timeouts::set().shim_cleanup);
            bundle.delete()?;
            response
        });
        match cleaned.await {
            Ok(response) => Some(response),
            Err(error) => {
                tracing::warn!("cannot clean up after a dead shim: {}", error.chain());
                None
            }
        }
    }

    /// Publishes the end of a sandbox whose shim cannot.
    fn report_sandbox(&self, bundle: &Bundle, response: Option<DeleteResponse>) {
        let now = events::timestamp(SystemTime::now());
        let exit = SandboxExit {
            sandbox_id: bundle.id.clone(),
            exit_status: response.as_ref().map_or(UNKNOWN_EXIT, |end| end.exit_status),
            exited_at: Some(response.and_then(|end| end.exited_at).unwrap_or(now)),
        };
        let event = containerd_api::pack(&exit);
        if let Err(error) = self.inner.exchange.publish(&bundle.namespace, "/sandboxes/exit", event) {
            tracing::error!(id = bundle.id, "cannot publish a sandbox's end: {}", error.chain());
        }
    }

    /// Publishes the end of a task whose shim cannot.
    fn report(&self, bundle: &Bundle, response: Option<DeleteResponse>, was_told: bool) {
        let now = events::timestamp(SystemTime::now());
        let end = response.unwrap_or(DeleteResponse { pid: 0, exit_status: UNKNOWN_EXIT, exited_at: None });
        let exited_at = Some(end.exited_at.unwrap_or(now));
        let exit = TaskExit {
            container_id: bundle.id.clone(),
            id: bundle.id.clone(),
            pid: end.pid,
            exit_status: end.exit_status,
            exited_at,
        };
        let delete = TaskDelete {
            container_id: bundle.id.clone(),
            pid: end.pid,
            exit_status: end.exit_status,
            exited_at,
            id: String::new(),
        };
        let exchange = &self.inner.exchange;
        let events =
            [("/tasks/exit", containerd_api::pack(&exit)), ("/tasks/delete", containerd_api::pack(&delete))];
        for (topic, event) in events.into_iter().skip(usize::from(was_told)) {
            if let Err(error) = exchange.publish(&bundle.namespace, topic, event) {
                tracing::error!(id = bundle.id, "cannot publish {topic}: {}", error.chain());
            }
        }
    }
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    spawn_blocking(work)
        .await
        .map_err(|e| errdefs::Error::internal("cannot run a blocking step").with_source(e))?
}
