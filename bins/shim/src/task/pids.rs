//! Pids: the processes of a container.

use crate::cgroup::Group;
use crate::service::Tasks;
use containerd_api::pack;
use containerd_api::runc::v1::ProcessDetails;
use containerd_api::task::v3::{PidsRequest, PidsResponse};
use containerd_api::v1::types::ProcessInfo;
use errdefs::Result;
use std::sync::Arc;

/// Reads them from the cgroup; those that were started by Exec carry their ids.
pub(crate) async fn pids(tasks: &Arc<Tasks>, request: PidsRequest) -> Result<PidsResponse> {
    let container = tasks.container(&request.id)?;
    let running = container.running();
    let own = || running.iter().filter_map(|process| process.live_pid()).collect();
    let pids: Vec<i32> = match container.group().map(Group::pids) {
        Some(Ok(pids)) if !pids.is_empty() => pids,
        // A group that is gone, or shared with nobody.
        _ => own(),
    };
    let info = |pid: i32| {
        let exec = running.iter().find(|process| !process.is_init() && process.live_pid() == Some(pid));
        let info = exec.map(|process| pack(&ProcessDetails { exec_id: process.id.clone() }));
        ProcessInfo { pid: pid as u32, info }
    };
    Ok(PidsResponse { processes: pids.into_iter().map(info).collect() })
}
