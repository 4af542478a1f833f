//! Stats: what a container uses, as its cgroup counts it.

use crate::container::Container;
use crate::service::Tasks;
use containerd_api::Any;
use containerd_api::task::v3::{StatsRequest, StatsResponse};
use errdefs::{Error, Result};
use std::sync::Arc;

/// Reads the cgroup's files.
pub(crate) async fn stats(tasks: &Arc<Tasks>, request: StatsRequest) -> Result<StatsResponse> {
    let stats = usage(&*tasks.container(&request.id)?)?;
    Ok(StatsResponse { stats: Some(stats) })
}

/// What a container uses now.
pub(crate) fn usage(container: &Container) -> Result<Any> {
    let absent = || Error::not_found("cgroup does not exist");
    let group = container.group().filter(|_| container.init.live_pid().is_some()).ok_or_else(absent)?;
    group.stats().map_err(|cause| match cause.is_absent() {
        true => absent(),
        false => Error::unknown("cannot read the cgroup").with_source(cause),
    })
}
