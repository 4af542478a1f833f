//! Stopping: the container's own signal, patience, then SIGKILL.

use std::sync::Arc;
use std::time::Duration;

use errdefs::{Error, Result};

use super::kill::{self, SIGKILL};
use super::{Container, Phase};
use crate::engine::Engine;

/// A killed process may be stuck in the kernel; nobody waits for ever.
const KILL_PATIENCE: Duration = Duration::from_secs(30);

/// Stops a container; false when it did not run. `timeout` is in seconds, negative is for ever.
///
/// # Errors
/// The signal is none, or the process does not end even when killed.
pub async fn stop(
    engine: &Arc<Engine>,
    container: &Arc<Container>,
    signal: Option<&str>,
    timeout: Option<i64>,
) -> Result<bool> {
    let record = container.record();
    if record.state.phase == Phase::Restarting {
        return Ok(give_up_restart(container).await);
    }
    if !record.state.phase.is_live() {
        return Ok(false);
    }
    let asked = signal.filter(|name| !name.is_empty()).unwrap_or(&record.config.stop_signal);
    let signal = if asked.is_empty() { kill::SIGTERM } else { kill::parse(asked)? };
    let mut progress = container.progress.subscribe();
    let before = progress.borrow().exits;
    container.live().is_stopping = true;
    container.update(|record| record.is_stopped_by_hand = true);
    kill::send(engine, container, signal, true).await?;
    engine.tell_container("kill", container, &[("signal", signal.to_string())]);
    let timeout =
        timeout.or(record.config.stop_timeout).unwrap_or_else(|| engine.settings().stop_timeout_seconds);
    let ended = progress.wait_for(|progress| progress.exits > before);
    let is_ended = match u64::try_from(timeout) {
        Ok(seconds) => tokio::time::timeout(Duration::from_secs(seconds), ended).await.is_ok(),
        Err(_) => ended.await.is_ok(),
    };
    if !is_ended {
        kill_and_wait(engine, container, before).await?;
    }
    engine.tell_container("stop", container, &[]);
    Ok(true)
}

/// Kills and waits until the exit is recorded.
///
/// # Errors
/// The process does not end.
pub async fn kill_and_wait(
    engine: &Arc<Engine>,
    container: &Arc<Container>,
    exits_before: u64,
) -> Result<()> {
    let mut progress = container.progress.subscribe();
    container.live().is_stopping = true;
    kill::send(engine, container, SIGKILL, true).await?;
    engine.tell_container("kill", container, &[("signal", SIGKILL.to_string())]);
    match tokio::time::timeout(KILL_PATIENCE, progress.wait_for(|progress| progress.exits > exits_before))
        .await
    {
        Ok(_) => Ok(()),
        Err(_) => Err(Error::internal(format!(
            "cannot stop container: {}: tried to kill container, but did not receive an exit event",
            container.id
        ))),
    }
}

/// Lets a container that waits for its next start stay ended.
async fn give_up_restart(container: &Container) -> bool {
    let _moving = container.moving.lock().await;
    if container.record().state.phase != Phase::Restarting {
        return false;
    }
    container.live().restart.take();
    container.update(|record| {
        record.state.phase = Phase::Exited;
        record.is_stopped_by_hand = true;
    });
    container.progress.send_modify(|progress| {
        progress.is_running = false;
    });
    true
}
