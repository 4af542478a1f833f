//! How often one client may ask: whoever is too fast waits for a while, and is refused after that.

use std::collections::HashMap;
use std::sync::Mutex;
use std::time::{Duration, Instant};

/// Requests a second of one client certificate, unless the flags say otherwise. Whoever speaks to a socket of
/// this host may have as much of its processors anyway.
const BY_TCP: u32 = 1000;
/// How many seconds' worth of requests may come at once.
const BURST_SECONDS: u32 = 2;
/// Longest time that a request waits for its turn.
const PATIENCE: Duration = Duration::from_secs(5);
/// Clients that are remembered; those who have been silent are forgotten first.
const CLIENTS: usize = 1024;

/// Whose requests are counted together.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Client {
    /// A user of this host.
    User(u32),
    /// The holder of a certificate.
    Certificate(Vec<u8>),
}

/// A client whose turn is too far away.
#[derive(Debug)]
pub struct TooOften;

/// The turns of all clients.
#[derive(Default)]
pub struct Rate {
    /// Requests a second, zero for no limit; `None` is the default of the kind of client.
    asked: Option<u32>,
    /// When a client that asks steadily would be due next.
    due: Mutex<HashMap<Client, Instant>>,
}

impl Rate {
    /// As `--request-rate` asks.
    pub fn new(asked: Option<u32>) -> Rate {
        Rate { asked, ..Rate::default() }
    }

    /// Waits for a client's turn.
    ///
    /// # Errors
    /// It asks much too often.
    pub async fn turn(&self, client: &Client) -> Result<(), TooOften> {
        match self.wait(client, Instant::now()) {
            None => Ok(()),
            Some(wait) if wait <= PATIENCE => {
                tokio::time::sleep(wait).await;
                Ok(())
            }
            Some(_) => Err(TooOften),
        }
    }

    /// How long a request that comes `now` has to wait; one that waits too long takes no turn.
    fn wait(&self, client: &Client, now: Instant) -> Option<Duration> {
        let default = if matches!(client, Client::Certificate(_)) { BY_TCP } else { 0 };
        let step = Duration::from_secs(1).checked_div(self.asked.unwrap_or(default))?;
        let mut due = self.due.lock().expect("no panic while held");
        if due.len() >= CLIENTS && !due.contains_key(client) {
            due.retain(|_, next| *next > now);
        }
        let next = due.get(client).copied().unwrap_or(now).max(now);
        let burst = Duration::from_secs(u64::from(BURST_SECONDS));
        let wait = (next + step).duration_since(now).checked_sub(burst).filter(|wait| !wait.is_zero());
        if wait.is_none_or(|wait| wait <= PATIENCE) {
            due.insert(client.clone(), next + step);
        }
        wait
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_too_fast_waits_and_then_is_refused() {
        let rate = Rate::new(Some(10));
        let (client, start) = (Client::User(7), Instant::now());
        let waits: Vec<Option<Duration>> = (0..72).map(|_| rate.wait(&client, start)).collect();
        assert!(waits[..20].iter().all(Option::is_none), "a burst passes: {waits:?}");
        assert_eq!(waits[20], Some(Duration::from_millis(100)));
        assert_eq!(waits[69], Some(PATIENCE));
        assert!(waits[70] > Some(PATIENCE) && waits[71] == waits[70], "who is refused takes no turn");
        let later = start + Duration::from_secs(60);
        assert_eq!(rate.wait(&client, later), None, "silence is forgiven");
        assert_eq!(rate.wait(&Client::User(8), start), None, "others do not wait");
    }

    #[test]
    fn users_of_this_host_have_no_limit_unless_asked() {
        let now = Instant::now();
        let rate = Rate::default();
        assert!((0..10_000).all(|_| rate.wait(&Client::User(0), now).is_none()));
        let certificate = Client::Certificate(vec![1]);
        assert!((0..10_000).any(|_| rate.wait(&certificate, now).is_some()));
        let unlimited = Rate::new(Some(0));
        assert!((0..10_000).all(|_| unlimited.wait(&certificate, now).is_none()));
    }
}
