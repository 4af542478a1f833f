//! Sandboxes that shims run by themselves: containerd's sandbox controller `shim`.

use crate::config::Timeouts;
use crate::shims::{Join, Shim, Shims, Start, is_closed};
use containerd_api::events::{SandboxCreate, SandboxExit, SandboxStart};
use containerd_api::pack;
use containerd_api::runtime::sandbox::v1::*;
use containerd_api::services::containers::v1::Container;
use containerd_api::services::sandbox::v1::*;
use containerd_api::types::Sandbox;
use errdefs::{Error, Kind, Result};
use events::Exchange;
use metadata::Namespace;
use prost::{Message, Name};
use std::sync::Arc;
use std::time::SystemTime;

/// The state of a sandbox that runs, in Kubernetes' word.
const READY: &str = "SANDBOX_READY";
/// The state of a sandbox whose shim is not there, in containerd's word.
const NOT_READY: &str = "SANDBOX_NOTREADY";

/// The sandboxes of every namespace.
#[derive(Clone)]
pub struct Sandboxes {
    shims: Shims,
    /// A sandbox may be a task, too, whose shim groups others by annotation.
    tasks: Shims,
    exchange: Exchange,
}

impl Sandboxes {
    /// Sandboxes by these shims, beside those of tasks, told of on this exchange.
    pub fn new(shims: Shims, tasks: Shims, exchange: Exchange) -> Sandboxes {
        Sandboxes { shims, tasks, exchange }
    }

    /// The shim that the task of a container is to be made in, if the container is in a sandbox; the address and the
    /// version of its task API are those that the client was given, if any. A sandbox without a record, and a shim
    /// of an older kind, are for the runtime's binary to find.
    pub fn join(
        &self,
        records: &Namespace,
        container: &Container,
        (address, version): (&str, u32),
    ) -> Result<Option<Join>> {
        let sandbox = &container.sandbox;
        if sandbox.is_empty() {
            let stray = (!address.is_empty()).then(|| {
                Error::invalid_argument(format!("task API address {address:?} for a container of no sandbox"))
            });
            return stray.map_or(Ok(None), Err);
        }
        match records.sandboxes().get(sandbox) {
            Err(error) if error.kind() == Kind::NotFound => return Ok(None),
            found => drop(found?),
        }
        let join = if address.is_empty() {
            let shim = self.shims.get(records.name(), sandbox);
            let shim = shim.or_else(|_| self.tasks.get(records.name(), sandbox)).map_err(|cause| {
                Error::not_found(format!("can't find shim for sandbox {sandbox}")).with_source(cause)
            })?;
            Join::by_shim(sandbox, &shim)?
        } else {
            Join::by_address(sandbox, address, version)?
        };
        Ok(Some(join).filter(Join::is_possible))
    }

    fn shim(&self, namespace: &str, id: &str) -> Result<Arc<Shim>> {
        self.shims.get(namespace, id).map_err(|_| Error::not_found(format!("sandbox {id:?}")))
    }

    fn tell<M: Message + Name>(&self, namespace: &str, topic: &str, event: &M) {
        if let Err(error) = self.exchange.publish(namespace, topic, pack(event)) {
            tracing::error!(namespace, "cannot publish {topic}: {}", error.chain());
        }
    }

    /// Starts a shim for a sandbox and makes the sandbox in it. Nothing is left of it if that fails.
    pub async fn create(
        &self,
        namespace: &str,
        sandbox: Sandbox,
        request: ControllerCreateRequest,
    ) -> Result<()> {
        let id = sandbox.sandbox_id;
        metadata::validate_identifier(&id).map_err(|cause| {
            Error::invalid_argument(format!("invalid sandbox id {id}")).with_source(cause)
        })?;
        let taken = |error: Error| match error.kind() {
            Kind::AlreadyExists => Error::already_exists(format!("sandbox {id} already running")),
            _ => error,
        };
        let name = self.shims.reserve(namespace, &id).map_err(taken)?;
        let runtime = sandbox.runtime.unwrap_or_default();
        let spec = sandbox.spec.unwrap_or_default().value;
        let start = Start { runtime: &runtime.name, options: runtime.options.as_ref(), spec: &spec };
        let shim = self.shims.start(&name, start).await?;
        let create = CreateSandboxRequest {
            sandbox_id: id.clone(),
            bundle_path: shim.bundle().to_string_lossy().into_owned(),
            rootfs: request.rootfs,
            options: request.options,
            netns_path: request.netns_path,
            annotations: request.annotations,
        };
        let created: Result<CreateSandboxResponse> =
            shim.client().call_sandbox("CreateSandbox", &create, None).await;
        if let Err(error) = created {
            self.undo(&shim).await;
            return Err(explained(error, &runtime.name));
        }
        self.shims.adopt(&shim);
        self.tell(namespace, "/sandboxes/create", &SandboxCreate { sandbox_id: id });
        Ok(())
    }

    /// Starts a sandbox that was created.
    pub async fn start(&self, namespace: &str, id: &str) -> Result<ControllerStartResponse> {
        let shim = self.shim(namespace, id)?;
        let request = StartSandboxRequest { sandbox_id: id.to_owned() };
        let started: StartSandboxResponse =
            match shim.client().call_sandbox("StartSandbox", &request, None).await {
                Ok(started) => started,
                Err(error) if self.is_ready(namespace, id).await => return Err(error),
                Err(error) => {
                    // As containerd has it, a sandbox that does not start is none.
                    self.undo(&shim).await;
                    return Err(error);
                }
            };
        self.tell(namespace, "/sandboxes/start", &SandboxStart { sandbox_id: id.to_owned() });
        let (address, version) = endpoint(&shim)?;
        Ok(ControllerStartResponse {
            sandbox_id: id.to_owned(),
            pid: started.pid,
            created_at: started.created_at,
            spec: started.spec,
            address,
            version,
            ..Default::default()
        })
    }

    async fn is_ready(&self, namespace: &str, id: &str) -> bool {
        self.status(namespace, id, false).await.is_ok_and(|status| status.state == READY)
    }

    /// The platform that a sandbox's containers run on.
    pub async fn platform(&self, namespace: &str, id: &str) -> Result<ControllerPlatformResponse> {
        let shim = self.shim(namespace, id)?;
        let request = PlatformRequest { sandbox_id: id.to_owned() };
        let answer: PlatformResponse = shim.client().call_sandbox("Platform", &request, None).await?;
        Ok(ControllerPlatformResponse { platform: answer.platform })
    }

    /// Ends what runs in a sandbox; one that is not there is ended.
    pub async fn stop(&self, namespace: &str, id: &str, timeout_secs: u32) -> Result<()> {
        let Ok(shim) = self.shim(namespace, id) else { return Ok(()) };
        let request = StopSandboxRequest { sandbox_id: id.to_owned(), timeout_secs };
        let stopped: Result<StopSandboxResponse> =
            shim.client().call_sandbox("StopSandbox", &request, None).await;
        match stopped {
            Err(error)
                if !matches!(error.kind(), Kind::NotFound | Kind::Unavailable) && !is_closed(&error) =>
            {
                Err(error)
            }
            _ => Ok(()),
        }
    }

    /// Returns when a sandbox has ended.
    pub async fn wait(&self, namespace: &str, id: &str) -> Result<ControllerWaitResponse> {
        let shim = self.shim(namespace, id)?;
        let request = WaitSandboxRequest { sandbox_id: id.to_owned() };
        let ended: WaitSandboxResponse = shim.client().call_sandbox("WaitSandbox", &request, None).await?;
        let exit = SandboxExit {
            sandbox_id: id.to_owned(),
            exit_status: ended.exit_status,
            exited_at: ended.exited_at,
        };
        self.tell(namespace, "/sandboxes/exit", &exit);
        Ok(ControllerWaitResponse { exit_status: ended.exit_status, exited_at: ended.exited_at })
    }

    /// How a sandbox is. One whose shim is not there is not ready, as of now.
    pub async fn status(&self, namespace: &str, id: &str, verbose: bool) -> Result<ControllerStatusResponse> {
        let Ok(shim) = self.shim(namespace, id) else {
            return Ok(ControllerStatusResponse {
                sandbox_id: id.to_owned(),
                state: NOT_READY.to_owned(),
                exited_at: Some(events::timestamp(SystemTime::now())),
                ..Default::default()
            });
        };
        let request = SandboxStatusRequest { sandbox_id: id.to_owned(), verbose };
        let limit = Some(Timeouts::set().task_state);
        let found: SandboxStatusResponse =
            shim.client().call_sandbox("SandboxStatus", &request, limit).await?;
        let (address, version) = endpoint(&shim)?;
        Ok(ControllerStatusResponse {
            sandbox_id: id.to_owned(),
            pid: found.pid,
            state: found.state,
            info: found.info,
            created_at: found.created_at,
            exited_at: found.exited_at,
            extra: found.extra,
            address,
            version,
        })
    }

    /// Ends a sandbox and its shim, and removes what they had.
    pub async fn shutdown(&self, namespace: &str, id: &str) -> Result<()> {
        let shim = self.shim(namespace, id)?;
        shim.set_ending(true);
        match end(&shim).await {
            // It hangs up while it answers, or has gone before.
            Err(error) if error.kind() != Kind::NotFound && !is_closed(&error) => {
                shim.set_ending(false);
                Err(error)
            }
            _ => self.shims.release(&shim).await,
        }
    }

    /// Ends a sandbox that could not be made or started, and its shim.
    async fn undo(&self, shim: &Arc<Shim>) {
        shim.set_ending(true);
        // A shim that does not do so is ended with what is left of it.
        let _ = end(shim).await;
        self.shims.abandon(shim).await;
    }

    /// What a sandbox uses.
    pub async fn metrics(&self, namespace: &str, id: &str) -> Result<ControllerMetricsResponse> {
        let shim = self.shim(namespace, id)?;
        let request = SandboxMetricsRequest { sandbox_id: id.to_owned() };
        let limit = Some(Timeouts::set().shim_stats);
        let found: SandboxMetricsResponse =
            shim.client().call_sandbox("SandboxMetrics", &request, limit).await?;
        Ok(ControllerMetricsResponse { metrics: found.metrics })
    }
}

async fn end(shim: &Shim) -> Result<ShutdownSandboxResponse> {
    let request = ShutdownSandboxRequest { sandbox_id: shim.id().to_owned() };
    shim.client().call_sandbox("ShutdownSandbox", &request, Some(Timeouts::set().shim_shutdown)).await
}

/// Where a sandbox's shim serves, in the words of the sandbox API, and by which version of the task API.
fn endpoint(shim: &Shim) -> Result<(String, u32)> {
    let at = shim.endpoint()?;
    Ok((format!("{}+{}", at.protocol, at.address), u32::try_from(at.version).unwrap_or_default()))
}

/// A shim without the service says so in words about services.
fn explained(error: Error, runtime: &str) -> Error {
    let error =
        Error::new(error.kind(), format!("runtime {runtime:?} cannot run a sandbox")).with_source(error);
    if error.kind() == Kind::Unimplemented {
        return error.with_hint("use a runtime whose shim serves the sandbox API");
    }
    error
}
