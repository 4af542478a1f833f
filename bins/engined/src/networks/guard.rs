//! Other programs' firewalls: one that starts or reloads must not cut our containers off.

use std::sync::Arc;
use std::time::Duration;

use errdefs::Result;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use super::told;
use crate::engine::Engine;

/// A firewall that loads changes many rules, one after the other: they are looked at together.
const SETTLE: Duration = Duration::from_millis(50);

/// Follows the changes of the ruleset for ever.
pub fn start(engine: &Arc<Engine>) {
    let engine = engine.clone();
    tokio::spawn(async move {
        if let Err(error) = follow(&engine).await {
            tracing::warn!(error = %error.chain(), "changes of other firewalls go unseen");
        }
    });
}

// Deprecated because an `AsRawFd` might change its number; an `OwnedFd` never does.
#[expect(deprecated)]
async fn follow(engine: &Arc<Engine>) -> Result<()> {
    let watch = engine.networks.stack.watch().map_err(told)?;
    let failed = |cause| errdefs::Error::internal("cannot watch the ruleset").with_source(cause);
    let descriptor = std::os::fd::AsFd::as_fd(&watch).try_clone_to_owned().map_err(failed)?;
    let readable = AsyncFd::with_interest(descriptor, Interest::READABLE).map_err(failed)?;
    loop {
        let mut ready = readable.readable().await.map_err(failed)?;
        ready.clear_ready();
        tokio::time::sleep(SETTLE).await;
        let has_changed = watch.drain().map_err(|cause| errdefs::Error::internal(cause.to_string()))?;
        if !has_changed {
            continue;
        }
        let engine = engine.clone();
        let looked = tokio::task::spawn_blocking(move || {
            if engine.networks.stack.heal()? {
                tracing::warn!("somebody flushed the firewall: the engine's rules are put in place again");
            }
            engine.networks.stack.admit()
        });
        match looked.await {
            Ok(Ok(warnings)) => {
                for warning in warnings {
                    tracing::debug!(warning, "another firewall");
                }
            }
            Ok(Err(error)) => tracing::warn!(%error, "cannot tell another firewall of our bridges"),
            Err(_) => return Ok(()),
        }
    }
}
