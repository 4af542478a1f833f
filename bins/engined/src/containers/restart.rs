//! Restart policies, and `restart` itself.

use std::sync::Arc;
use std::time::Duration;

use errdefs::Result;
use tokio::sync::oneshot;

use super::{Container, Phase, Record, start, stop};
use crate::engine::Engine;

const FIRST_DELAY: Duration = Duration::from_millis(100);
const LAST_DELAY: Duration = Duration::from_secs(60);
/// A run of this length proves that the container works: the delay starts anew.
const GOOD_RUN: Duration = Duration::from_secs(10);

/// How long the next restart waits.
#[derive(Debug)]
pub struct Backoff {
    delay: Duration,
}

impl Default for Backoff {
    fn default() -> Self {
        Backoff { delay: FIRST_DELAY }
    }
}

impl Backoff {
    fn next(&mut self, ran: Duration) -> Duration {
        if ran > GOOD_RUN {
            self.delay = FIRST_DELAY;
        }
        let now = self.delay;
        self.delay = (self.delay * 2).min(LAST_DELAY);
        now
    }
}

/// The delay before the next start; `None` when there is none.
pub fn decide(container: &Container, record: &Record, code: i64) -> Option<Duration> {
    let mut live = container.live();
    if live.is_stopping || !wants_restart(record, code) {
        live.backoff = Backoff::default();
        return None;
    }
    let ran = crate::time::Time::now().0 - record.state.started.0;
    Some(live.backoff.next(Duration::from_nanos(ran.unsigned_abs())))
}

/// Whether the policy wants a container that ended with `code` back.
fn wants_restart(record: &Record, code: i64) -> bool {
    let policy = &record.host_config.restart_policy;
    match policy.name.as_str() {
        "always" => true,
        "unless-stopped" => !record.is_stopped_by_hand,
        "on-failure" => {
            code != 0
                && (policy.maximum_retry_count == 0 || record.restart_count < policy.maximum_retry_count)
        }
        _ => false,
    }
}

/// Whether a container that is found ended after a boot of the host starts again.
pub fn wants_start_at_boot(record: &Record) -> bool {
    match record.host_config.restart_policy.name.as_str() {
        "always" => record.has_started,
        "unless-stopped" => record.has_started && !record.is_stopped_by_hand,
        "on-failure" => {
            record.has_started && !record.is_stopped_by_hand && wants_restart(record, record.state.exit_code)
        }
        _ => false,
    }
}

/// Starts the container again after the delay, unless somebody decides otherwise before.
pub fn later(engine: Arc<Engine>, container: Arc<Container>, delay: Duration) {
    let (abandon, abandoned) = oneshot::channel();
    container.live().restart = Some(abandon);
    tokio::spawn(async move {
        tokio::select! {
            () = tokio::time::sleep(delay) => {}
            _ = abandoned => return,
        }
        let _moving = container.moving.lock().await;
        if container.record().state.phase != Phase::Restarting {
            return;
        }
        container.live().restart.take();
        container.update(|record| record.restart_count += 1);
        if let Err(error) = start::begin(&engine, &container).await {
            tracing::warn!(container = %container.id, error = %error.chain(), "cannot restart a container");
            if wants_restart(&container.record(), 1) {
                container.update(|record| record.state.phase = Phase::Restarting);
                let delay = container.live().backoff.next(Duration::ZERO);
                later(engine.clone(), container.clone(), delay);
            }
        }
    });
}

/// Stops and starts.
///
/// # Errors
/// Either fails.
pub async fn restart(
    engine: &Arc<Engine>,
    container: &Arc<Container>,
    signal: Option<&str>,
    timeout: Option<i64>,
) -> Result<()> {
    stop::stop(engine, container, signal, timeout).await?;
    start::start(engine, container).await?;
    engine.tell_container("restart", container, &[]);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(policy: &str, retries: i64) -> Record {
        let mut record = Record::default();
        record.host_config.restart_policy.name = policy.into();
        record.host_config.restart_policy.maximum_retry_count = retries;
        record
    }

    #[test]
    fn policies() {
        assert!(!wants_restart(&record("no", 0), 1));
        assert!(wants_restart(&record("always", 0), 0));
        assert!(!wants_restart(&record("on-failure", 0), 0));
        assert!(wants_restart(&record("on-failure", 0), 3));
        let mut tried = record("on-failure", 2);
        tried.restart_count = 2;
        assert!(!wants_restart(&tried, 3));
        let mut stopped = record("unless-stopped", 0);
        assert!(wants_restart(&stopped, 0));
        stopped.is_stopped_by_hand = true;
        assert!(!wants_restart(&stopped, 0));
    }

    #[test]
    fn what_ended_badly_comes_back_with_the_host() {
        let ended = |policy: &str, code| {
            let mut record = Record { has_started: true, ..record(policy, 2) };
            record.state.exit_code = code;
            record
        };
        assert!(
            wants_start_at_boot(&ended("on-failure", 1)) && !wants_start_at_boot(&ended("on-failure", 0))
        );
        assert!(!wants_start_at_boot(&Record { restart_count: 2, ..ended("on-failure", 1) }));
        let stopped = |policy: &str| Record { is_stopped_by_hand: true, ..ended(policy, 1) };
        assert!(wants_start_at_boot(&stopped("always")));
        assert!(
            !wants_start_at_boot(&stopped("unless-stopped")) && !wants_start_at_boot(&stopped("on-failure"))
        );
    }

    #[test]
    fn the_delay_doubles_until_a_good_run() {
        let mut backoff = Backoff::default();
        assert_eq!(backoff.next(Duration::ZERO), FIRST_DELAY);
        assert_eq!(backoff.next(Duration::ZERO), FIRST_DELAY * 2);
        for _ in 0..20 {
            backoff.next(Duration::ZERO);
        }
        assert_eq!(backoff.next(Duration::ZERO), LAST_DELAY);
        assert_eq!(backoff.next(Duration::from_secs(11)), FIRST_DELAY);
    }
}
