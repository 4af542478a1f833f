//! Wait: a process's exit, when it is known.

use crate::events::timestamp;
use crate::service::Tasks;
use containerd_api::task::v3::{WaitRequest, WaitResponse};
use errdefs::{Error, Kind, Result};
use std::sync::Arc;

/// Answers at the exit, again and again until the process is deleted; gives up with its caller.
pub(crate) async fn wait(
    tasks: &Arc<Tasks>,
    request: WaitRequest,
    given_up: impl Future<Output = ()>,
) -> Result<WaitResponse> {
    let process = tasks.container(&request.id)?.process(&request.exec_id)?;
    tokio::select! {
        exit = process.ended() => {
            Ok(WaitResponse { exit_status: exit.status, exited_at: Some(timestamp(exit.at)) })
        }
        () = given_up => Err(Error::new(Kind::Canceled, Kind::Canceled.bare_text())),
    }
}
