//! Stats: what a container uses, as its cgroup counts it.

use crate::service::Tasks;
use containerd_api::task::v3::{StatsRequest, StatsResponse};
use errdefs::{Error, Result};
use std::sync::Arc;

/// Reads the cgroup's files.
pub(crate) async fn stats(tasks: &Arc<Tasks>, request: StatsRequest) -> Result<StatsResponse> {
    let container = tasks.container(&request.id)?;
    let absent = || Error::not_found("cgroup does not exist");
    let group = container.group().filter(|_| container.init.live_pid().is_some()).ok_or_else(absent)?;
    let stats = group.stats().map_err(|cause| match cause.is_absent() {
        true => absent(),
        false => Error::unknown("cannot read the cgroup").with_source(cause),
    })?;
    Ok(StatsResponse { stats: Some(stats) })
}
