//! Deleting a task, or a process that exec added, and learning how it ended.

use super::{Exit, ProcessId, Tasks, changing};
use crate::shims::{Shim, is_closed};
use containerd_api::task::v3;
use errdefs::{Error, Kind, Result};

impl Tasks {
    /// Deletes a task that has ended, lets its shim go and removes the bundle. The work goes on to its end
    /// whether or not the caller waits for it; one who asks again meanwhile is told the same end.
    pub async fn delete(&self, task: ProcessId<'_>) -> Result<Exit> {
        let (tasks, shim) = (self.clone(), self.shim(task)?);
        let work = tokio::spawn(async move {
            let deleted = shim.deleted().get_or_try_init(|| delete_in(&shim, "")).await.cloned();
            match &deleted {
                // The shim has no such task, or has hung up: what is left here goes all the same.
                Err(error) if error.kind() != Kind::NotFound && !is_closed(error) => deleted,
                _ => tasks.shims.release(&shim).await.and(deleted),
            }
        });
        work.await.map_err(|e| Error::internal("cannot delete a task").with_source(e))?
    }

    /// Deletes a process that has ended; the task goes on.
    pub async fn delete_process(&self, process: ProcessId<'_>) -> Result<Exit> {
        delete_in(&*self.shim(process)?, process.exec).await
    }
}

pub(super) async fn delete_in(shim: &Shim, exec: &str) -> Result<Exit> {
    let request = v3::DeleteRequest { id: shim.id().to_owned(), exec_id: exec.to_owned() };
    let deleted: Result<v3::DeleteResponse> = changing(shim, shim.client().call("Delete", &request)).await;
    let deleted = deleted?;
    Ok(Exit { pid: deleted.pid, status: deleted.exit_status, at: deleted.exited_at })
}
