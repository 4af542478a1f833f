//! Waiting for an end.

use std::future::Future;
use std::sync::Arc;

use engine_api::container::WaitResponse;
use errdefs::{Error, Result};

use super::Container;

/// What is waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Condition {
    NotRunning,
    NextExit,
    Removed,
}

impl Condition {
    /// Docker's words; empty is `not-running`.
    ///
    /// # Errors
    /// Any other word.
    pub fn parse(text: &str) -> Result<Condition> {
        match text {
            "" | "not-running" => Ok(Condition::NotRunning),
            "next-exit" => Ok(Condition::NextExit),
            "removed" => Ok(Condition::Removed),
            other => Err(Error::invalid_argument(format!("invalid condition: \"{other}\""))),
        }
    }
}

/// Waits; what counts as "next" counts from this call on, not from the first poll.
pub fn wait(
    container: &Arc<Container>,
    condition: Condition,
) -> impl Future<Output = WaitResponse> + Send + use<> {
    let mut progress = container.progress.subscribe();
    let before = *progress.borrow();
    async move {
        let met = progress
            .wait_for(|now| match condition {
                // An end counts even when a restart follows it.
                Condition::NotRunning => !now.is_running || now.exits > before.exits,
                Condition::NextExit => now.exits > before.exits || now.is_removed,
                Condition::Removed => now.is_removed,
            })
            .await;
        let code = met.map_or(0, |now| now.exit_code);
        WaitResponse { status_code: code, error: None }
    }
}
