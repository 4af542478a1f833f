//! What is asked of a sandbox: how it is, what it uses, what it runs on. Answered from memory and cgroup files.

use super::start::running;
use crate::events::timestamp;
use crate::process::Status;
use crate::service::Tasks;
use crate::task;
use containerd_api::runtime::sandbox::v1::*;
use containerd_api::types::{Metric, Platform};
use errdefs::{Error, Result};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::SystemTime;

/// The states in Kubernetes' words, which daemons pass on.
const READY: &str = "SANDBOX_READY";
const NOT_READY: &str = "SANDBOX_NOTREADY";

pub(super) async fn status(
    tasks: &Arc<Tasks>,
    request: SandboxStatusRequest,
) -> Result<SandboxStatusResponse> {
    let sandbox = tasks.sandbox.get(&request.sandbox_id)?;
    let process = sandbox.process();
    let mut info = HashMap::new();
    if request.verbose {
        let ids: Vec<String> = tasks.all().iter().map(|container| container.id.clone()).collect();
        info.insert("tasks".to_owned(), ids.join(","));
        info.insert("shimPid".to_owned(), std::process::id().to_string());
    }
    let is_ready = process.status() == Status::Running && process.exit().is_none();
    Ok(SandboxStatusResponse {
        sandbox_id: request.sandbox_id,
        pid: process.pid().unwrap_or_default() as u32,
        state: if is_ready { READY } else { NOT_READY }.to_owned(),
        info,
        created_at: Some(timestamp(sandbox.created)),
        exited_at: process.exit().map(|exit| timestamp(exit.at)),
        extra: None,
    })
}

/// That it answers is the answer.
pub(super) async fn ping(tasks: &Arc<Tasks>, request: PingRequest) -> Result<PingResponse> {
    tasks.sandbox.get(&request.sandbox_id).map(|_| PingResponse {})
}

/// What the sandbox's own container uses; its tasks are asked for themselves.
pub(super) async fn metrics(
    tasks: &Arc<Tasks>,
    request: SandboxMetricsRequest,
) -> Result<SandboxMetricsResponse> {
    let sandbox = tasks.sandbox.get(&request.sandbox_id)?;
    running(&sandbox)?;
    let container = sandbox.container().ok_or_else(|| Error::not_found("cgroup does not exist"))?;
    let data = task::usage(container)?;
    let timestamp = Some(timestamp(SystemTime::now()));
    Ok(SandboxMetricsResponse {
        metrics: Some(Metric { timestamp, id: request.sandbox_id, data: Some(data) }),
    })
}

pub(super) async fn platform(tasks: &Arc<Tasks>, request: PlatformRequest) -> Result<PlatformResponse> {
    tasks.sandbox.get(&request.sandbox_id)?;
    let architecture = match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "x86" => "386",
        "aarch64" => "arm64",
        "powerpc64" => "ppc64le",
        "loongarch64" => "loong64",
        same => same,
    };
    let platform = Platform { os: "linux".into(), architecture: architecture.into(), ..Default::default() };
    Ok(PlatformResponse { platform: Some(platform) })
}
