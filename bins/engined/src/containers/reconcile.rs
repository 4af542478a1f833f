//! After a loss of sight: what became of the containers meanwhile.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use containerd_api::services::tasks::v1::{GetRequest, ListTasksRequest};
use containerd_api::v1::types::{Process, Status};

use super::{Container, Phase, exited, restart, start};
use crate::engine::Engine;
use crate::supervisor;
use crate::time::Time;

/// What Docker shows for an end that nobody saw.
const UNKNOWN_EXIT: u32 = 255;

/// Compares every container with the supervisor's tasks.
pub async fn all(engine: &Arc<Engine>) {
    let listed = engine.supervisor.tasks().list(ListTasksRequest::default()).await;
    let tasks: HashMap<String, Process> = match listed {
        Ok(answer) => answer.into_inner().tasks.into_iter().map(|task| (task.id.clone(), task)).collect(),
        Err(status) => {
            tracing::warn!(%status, "cannot list the supervisor's tasks");
            return;
        }
    };
    for id in engine.containers.take_cut_short() {
        if let Err(error) = super::remove::cut_short(engine, &id).await {
            tracing::warn!(container = id, error = %error.chain(), "cannot remove what a killed engine left");
        }
    }
    for container in engine.containers.all() {
        // A start or stop under way knows better than the list.
        let Ok(moving) = container.moving.try_lock() else { continue };
        let task = tasks.get(&container.id);
        adopt(&container, task);
        drop(moving);
        if container.record().state.phase == Phase::Running && task.is_some() {
            super::health::follow(engine, &container);
            crate::networks::restore(engine, &container).await;
        }
        settle(engine, &container, task).await;
    }
}

/// Looks at one container, whose exit may have been missed.
pub async fn one(engine: &Arc<Engine>, container: &Arc<Container>) {
    let request = GetRequest { container_id: container.id.clone(), exec_id: String::new() };
    let answer = engine.supervisor.tasks().get(request).await;
    match supervisor::optional(answer, "look for a task") {
        Ok(answer) => settle(engine, container, answer.and_then(|answer| answer.process).as_ref()).await,
        Err(error) => {
            tracing::warn!(container = %container.id, error = %error.chain(), "cannot look for a task")
        }
    }
}

fn status(task: &Process) -> Status {
    Status::try_from(task.status).unwrap_or(Status::Unknown)
}

/// Takes over a task that runs: what this process does not remember of it.
fn adopt(container: &Container, task: Option<&Process>) {
    let Some(task) =
        task.filter(|task| matches!(status(task), Status::Running | Status::Paused | Status::Pausing))
    else {
        return;
    };
    let record = container.record();
    let phase = if status(task) == Status::Running { Phase::Running } else { Phase::Paused };
    if record.state.phase != phase || record.state.pid != task.pid {
        container.update(|record| {
            record.state.phase = phase;
            record.state.pid = task.pid;
            record.has_started = true;
            if record.state.started.0 == 0 {
                record.state.started = Time::now();
            }
        });
    }
    if !container.progress.borrow().is_running {
        container.progress.send_modify(|progress| progress.is_running = true);
    }
    let has_stdin = container.live().stdin.is_some();
    if !has_stdin && !task.stdin.is_empty() {
        match super::Stdin::open(Path::new(&task.stdin)) {
            Ok(stdin) => container.live().stdin = Some(Arc::new(stdin)),
            Err(error) => {
                tracing::warn!(container = %container.id, %error, "cannot open standard input again")
            }
        }
    }
}

/// Acts on a task that ended, or that is not there any more.
async fn settle(engine: &Arc<Engine>, container: &Arc<Container>, task: Option<&Process>) {
    let record = container.record();
    match (record.state.phase, task) {
        (Phase::Running | Phase::Paused, Some(task)) if status(task) == Status::Stopped => {
            let at = Time::of(task.exited_at.as_ref());
            exited::handle(engine, &container.id, None, task.exit_status, at).await;
        }
        (Phase::Running | Phase::Paused, None) => {
            exited::handle(engine, &container.id, None, UNKNOWN_EXIT, Time::now()).await;
        }
        (Phase::Restarting, _) if container.live().restart.is_none() => {
            restart::later(engine.clone(), container.clone(), std::time::Duration::ZERO);
        }
        (Phase::Exited, None) if record.host_config.auto_remove => {
            super::remove::automatically(engine, container).await;
        }
        // A start was cut off between its steps.
        (Phase::Created | Phase::Exited, Some(task))
            if matches!(status(task), Status::Created | Status::Stopped) =>
        {
            let Ok(_moving) = container.moving.try_lock() else { return };
            start::clear_task(engine, &container.id).await;
            crate::networks::disconnect(engine, container).await;
        }
        _ => {}
    }
}

/// Containers whose policy brings them back after a boot of the host, when nothing runs any more.
pub async fn start_at_boot(engine: &Arc<Engine>) {
    for container in engine.containers.all() {
        let record = container.record();
        if record.state.phase == Phase::Exited && restart::wants_start_at_boot(&record) {
            container.update(|record| record.state.phase = Phase::Restarting);
            restart::later(engine.clone(), container.clone(), std::time::Duration::ZERO);
        }
    }
}
