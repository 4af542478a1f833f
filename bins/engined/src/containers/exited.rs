//! The end of a container's process: recorded, cleaned up, acted on.

use std::sync::Arc;

use containerd_api::services::tasks::v1::DeleteTaskRequest;

use super::{Container, Phase, restart};
use crate::engine::Engine;
use crate::time::Time;

/// Acts on an exit that the supervisor told of. Told twice, it happens once.
pub async fn handle(engine: &Arc<Engine>, id: &str, pid: Option<u32>, status: u32, at: Time) {
    let Some(container) = engine.containers.get(id) else { return };
    let moving = container.moving.lock().await;
    let state = container.record().state.clone();
    if !state.phase.is_live() || pid.is_some_and(|pid| pid != state.pid) {
        return;
    }
    let record = container.record();
    let deleting = async {
        let answer =
            engine.supervisor.tasks().delete(DeleteTaskRequest { container_id: id.to_owned() }).await;
        match answer {
            Ok(answer) => {
                let answer = answer.into_inner();
                Some((answer.exit_status, Time::of(answer.exited_at.as_ref())))
            }
            Err(refusal) if refusal.code() == tonic::Code::NotFound => Some((status, at)),
            // The supervisor is away: the exit is found again when it is back.
            Err(refusal) if refusal.code() == tonic::Code::Unavailable => None,
            Err(refusal) => {
                tracing::warn!(container = id, status = %refusal, "cannot delete the task of an ended container");
                Some((status, at))
            }
        }
    };
    let (deleted, ()) = tokio::join!(deleting, crate::networks::disconnect(engine, &container));
    let Some((status, at)) = deleted else { return };
    close_streams(&container);
    super::health::end(&container);
    super::plan::drop_shm(engine, id);
    crate::volumes::release(engine, &container.record(), true).await;
    let code = i64::from(status);
    let next = restart::decide(&container, &record, code);
    container.update(|record| {
        record.state.phase = if next.is_some() { Phase::Restarting } else { Phase::Exited };
        record.state.pid = 0;
        record.state.exit_code = code;
        record.state.finished = at;
    });
    engine.tell_container(
        "die",
        &container,
        &[
            ("exitCode", code.to_string()),
            ("execDuration", ((at.0 - record.state.started.0).max(0) / 1_000_000_000).to_string()),
        ],
    );
    container.progress.send_modify(|progress| {
        progress.is_running = next.is_some();
        progress.exits += 1;
        progress.exit_code = code;
    });
    drop(moving);
    crate::exec::forget_of(engine, &container);
    match next {
        Some(delay) => restart::later(engine.clone(), container, delay),
        None if record.host_config.auto_remove => super::remove::automatically(engine, &container).await,
        None => {}
    }
}

fn close_streams(container: &Container) {
    let stdin = container.live().stdin.take();
    if let Some(stdin) = stdin {
        let _ = std::fs::remove_file(stdin.path());
    }
    let _ = std::fs::remove_file(&container.record().attach_path);
}
