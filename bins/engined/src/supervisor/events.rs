//! What happens to tasks and images, as the supervisor tells it.

use std::sync::Arc;
use std::time::Duration;

use containerd_api::events::{TaskExit, TaskOom};
use containerd_api::services::events::v1::SubscribeRequest;
use containerd_api::types::Envelope;
use containerd_api::unpack;
use tokio::sync::oneshot;
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
        let ended = listen(&engine).await;
        engine.images.stored.told(false);
        match ended {
            Ok(()) => tracing::warn!("the supervisor ended the event stream"),
            Err(status) => tracing::debug!(%status, "cannot follow the supervisor's events"),
        }
        tokio::time::sleep(RETRY).await;
    }
}

async fn listen(engine: &Arc<Engine>) -> Result<(), tonic::Status> {
    let namespace = &engine.config.flags.containerd_namespace;
    let of = |noun: &str| format!("namespace=={namespace},topic~=|^/{noun}/|");
    let request = SubscribeRequest { filters: ["tasks", "images"].map(of).to_vec() };
    let mut client = engine.supervisor.events();
    // Some servers send no headers before the first event, so nobody waits for the answer here:
    // the look-up runs beside it, behind a call that the server takes after the subscription.
    let (follows, mut followed) = oneshot::channel();
    let look_up = tokio::spawn({
        let engine = engine.clone();
        async move {
            if engine.supervisor.hello().await.is_ok() {
                let _ = follows.send(());
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
    let mut is_followed = false;
    loop {
        tokio::select! {
            envelope = stream.next() => match envelope {
                Some(envelope) => act(engine, envelope?).await,
                None => return Ok(()),
            },
            said = &mut followed, if !is_followed => {
                is_followed = true;
                engine.images.stored.told(said.is_ok());
            }
        }
    }
}

async fn act(engine: &Arc<Engine>, envelope: Envelope) {
    if envelope.topic.starts_with("/images/") {
        return engine.images.stored.changed();
    }
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
