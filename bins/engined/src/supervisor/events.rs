//! What happens to tasks, as the supervisor tells it.

use std::sync::Arc;
use std::time::Duration;

use containerd_api::events::{TaskExit, TaskOom};
use containerd_api::services::events::v1::SubscribeRequest;
use containerd_api::types::Envelope;
use containerd_api::unpack;
use tokio_stream::StreamExt;

use crate::containers::exited;
use crate::engine::Engine;
use crate::exec;
use crate::time::Time;

/// Pause before the next try while the supervisor is away.
const RETRY: Duration = Duration::from_millis(100);

/// Follows the events for ever. Each time the stream begins, everything that may have happened
/// before is looked up.
pub async fn follow(engine: Arc<Engine>) {
    loop {
        match listen(&engine).await {
            Ok(()) => tracing::warn!("the supervisor ended the event stream"),
            Err(status) => tracing::debug!(%status, "cannot follow the supervisor's events"),
        }
        tokio::time::sleep(RETRY).await;
    }
}

async fn listen(engine: &Arc<Engine>) -> Result<(), tonic::Status> {
    let namespace = &engine.config.flags.containerd_namespace;
    let request = SubscribeRequest { filters: vec![format!("namespace=={namespace},topic~=|^/tasks/|")] };
    let mut client = engine.supervisor.events();
    // Some servers send no headers before the first event, so nobody waits for the answer here:
    // the look-up runs beside it, behind a call that the server takes after the subscription.
    let look_up = tokio::spawn({
        let engine = engine.clone();
        async move {
            if engine.supervisor.hello().await.is_ok() {
                crate::containers::reconcile::all(&engine).await;
            }
        }
    });
    let mut stream = match client.subscribe(request).await {
        Ok(stream) => stream.into_inner(),
        Err(status) => {
            look_up.abort();
            return Err(status);
        }
    };
    while let Some(envelope) = stream.next().await {
        act(engine, envelope?).await;
    }
    Ok(())
}

async fn act(engine: &Arc<Engine>, envelope: Envelope) {
    let Some(event) = envelope.event else { return };
    if let Ok(exit) = unpack::<TaskExit>(&event) {
        let at = Time::of(exit.exited_at.as_ref());
        let engine = engine.clone();
        if exit.id == exit.container_id {
            tokio::spawn(async move {
                exited::handle(&engine, &exit.container_id, Some(exit.pid), exit.exit_status, at).await;
            });
        } else {
            tokio::spawn(async move { exec::exited(&engine, &exit.id, exit.exit_status).await });
        }
    } else if let Ok(oom) = unpack::<TaskOom>(&event)
        && let Some(container) = engine.containers.get(&oom.container_id)
    {
        container.update(|record| record.state.oom_killed = true);
        engine.tell_container("oom", &container, &[]);
    }
}
