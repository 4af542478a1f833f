//! The sandbox service on the wire: methods of `containerd.runtime.sandbox.v1.Sandbox`.

use super::{create, shutdown, start, status, stop};
use crate::service::Tasks;
use containerd_api::runtime::sandbox::v1 as api;
use std::sync::Arc;
use ttrpc::{Context, Reply, Server, Service, respond};

/// The name under which the service is served.
pub(crate) const NAME: &str = "containerd.runtime.sandbox.v1.Sandbox";

/// The service.
pub(crate) struct SandboxService(pub(crate) Arc<Tasks>);

impl Service for SandboxService {
    fn call(&self, context: Context, method: &str, payload: prost::bytes::Bytes) -> Reply<'static> {
        let tasks = self.0.clone();
        tasks.rest.disturb();
        macro_rules! answer {
            ($verb:path) => {
                respond(payload, async move |request| $verb(&tasks, request).await.map_err(Into::into))
            };
        }
        match method {
            "CreateSandbox" => answer!(create::create),
            "StartSandbox" => answer!(start::start),
            "Platform" => answer!(status::platform),
            "StopSandbox" => answer!(stop::stop),
            "WaitSandbox" => respond(payload, async move |request: api::WaitSandboxRequest| {
                stop::wait(&tasks, request, context.ended()).await.map_err(Into::into)
            }),
            "SandboxStatus" => answer!(status::status),
            "PingSandbox" => answer!(status::ping),
            "ShutdownSandbox" => answer!(shutdown::shutdown),
            "SandboxMetrics" => answer!(status::metrics),
            other => {
                let status = Server::unknown_method(other);
                Box::pin(std::future::ready(Err(status)))
            }
        }
    }
}
