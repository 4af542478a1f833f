//! Listing tasks: what is known is told, the other shims are asked at once, and none may hold up the rest.

use super::Tasks;
use containerd_api::v1::types::{Process, Status};
use errdefs::{Error, Kind, Result};
use std::time::Duration;
use tokio::task::JoinHandle;

/// How long a list waits for a shim.
const PATIENCE: Duration = Duration::from_secs(1);
/// How long it waits for one that was silent the last time.
const LITTLE: Duration = Duration::from_millis(50);

/// How a task is, or the question.
enum Answer {
    Known(Process),
    Asked(JoinHandle<(String, Result<Process>)>),
}

impl Tasks {
    /// Every task of a namespace. A task whose shim does not answer in time is listed as unknown; one that has
    /// just gone is left out.
    pub async fn list(&self, namespace: &str) -> Result<Vec<Process>> {
        let asked: Vec<_> = self
            .shims
            .list(namespace)
            .into_iter()
            .map(|shim| {
                let tasks = self.clone();
                if let Some(process) = shim.known() {
                    return Answer::Known(process);
                }
                Answer::Asked(tokio::spawn(async move {
                    let moment = shim.moment();
                    let limit = if shim.is_silent() { LITTLE } else { PATIENCE };
                    let state = tasks.state_within(shim.clone(), "", limit).await;
                    if let Ok(process) = &state {
                        shim.learn(moment, process);
                    }
                    shim.set_silent(matches!(&state, Err(error) if error.kind() == Kind::DeadlineExceeded));
                    (shim.id().to_owned(), state)
                }))
            })
            .collect();
        let mut found = Vec::with_capacity(asked.len());
        for answer in asked {
            let asked = match answer {
                Answer::Known(process) => {
                    found.push(process);
                    continue;
                }
                Answer::Asked(asked) => asked.await,
            };
            let (id, state) = asked.map_err(|e| Error::internal("cannot list tasks").with_source(e))?;
            match state {
                Ok(process) => found.push(process),
                Err(error) if error.kind() == Kind::NotFound => {}
                Err(error) => {
                    tracing::warn!(id, namespace, "task does not answer: {}", error.chain());
                    found.push(Process { id, status: Status::Unknown as i32, ..Process::default() });
                }
            }
        }
        found.sort_by(|a, b| a.id.cmp(&b.id));
        Ok(found)
    }
}
