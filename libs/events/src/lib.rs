//! The event exchange: every publisher's events, in one order, to any number of subscribers.
//!
//! A publisher never waits: each subscriber has a queue of its own with a bound. One that falls further
//! behind than the bound gets what it has queued and then [`Lagged`], so that it knows to list again.

mod topic;

use containerd_api::types::Envelope;
use containerd_api::{Any, Timestamp};
use errdefs::{Error, Result};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};
use tokio::sync::mpsc;

/// How many events a subscriber may be behind before it is cut off.
const QUEUE_BOUND: usize = 32 * 1024;

/// The exchange; clones share one.
#[derive(Clone, Default)]
pub struct Exchange {
    subscribers: Arc<Mutex<Vec<mpsc::Sender<Arc<Envelope>>>>>,
}

/// One subscriber's queue, from the moment of subscribing on.
pub struct Subscription {
    queue: mpsc::Receiver<Arc<Envelope>>,
}

/// The subscriber was too slow: events after those it received were dropped.
#[derive(Debug, PartialEq, Eq)]
pub struct Lagged;

impl Exchange {
    /// An exchange without subscribers.
    pub fn new() -> Exchange {
        Exchange::default()
    }

    /// Publishes `event` now, in `namespace`, under `topic` (`/tasks/exit`).
    pub fn publish(&self, namespace: &str, topic: &str, event: Any) -> Result<()> {
        self.forward(Envelope {
            timestamp: Some(timestamp(SystemTime::now())),
            namespace: namespace.to_owned(),
            topic: topic.to_owned(),
            event: Some(event),
        })
    }

    /// Passes on an event that somebody else stamped, as a shim's.
    pub fn forward(&self, envelope: Envelope) -> Result<()> {
        if envelope.timestamp.is_none() {
            return Err(Error::invalid_argument("timestamp must be set on forwarded event"));
        }
        topic::validate(&envelope.topic)?;
        let envelope = Arc::new(envelope);
        let mut subscribers = self.subscribers.lock().unwrap_or_else(PoisonError::into_inner);
        // A full queue drops its sender: the subscriber reads what it has, then learns that it lagged.
        subscribers.retain(|subscriber| subscriber.try_send(envelope.clone()).is_ok());
        Ok(())
    }

    /// Subscribes to every event of every namespace from now on; nothing is replayed.
    pub fn subscribe(&self) -> Subscription {
        let (sender, queue) = mpsc::channel(QUEUE_BOUND);
        self.subscribers.lock().unwrap_or_else(PoisonError::into_inner).push(sender);
        Subscription { queue }
    }
}

impl Subscription {
    /// The next event. [`Lagged`] is final.
    pub async fn next(&mut self) -> std::result::Result<Arc<Envelope>, Lagged> {
        // The exchange holds our sender until the queue overflows, so an end of the channel means that.
        self.queue.recv().await.ok_or(Lagged)
    }
}

/// A protobuf timestamp of `time`.
pub fn timestamp(time: SystemTime) -> Timestamp {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp { seconds: since.as_secs() as i64, nanos: since.subsec_nanos() as i32 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn every_subscriber_sees_the_same_order() {
        let exchange = Exchange::new();
        let mut a = exchange.subscribe();
        let mut b = exchange.subscribe();
        for topic in ["/tasks/create", "/tasks/start", "/tasks/exit"] {
            exchange.publish("moby", topic, Any::default()).unwrap();
        }
        for topic in ["/tasks/create", "/tasks/start", "/tasks/exit"] {
            assert_eq!(a.next().await.unwrap().topic, topic);
            assert_eq!(b.next().await.unwrap().topic, topic);
        }
    }

    #[tokio::test]
    async fn a_subscriber_that_sleeps_is_told_and_blocks_nobody() {
        let exchange = Exchange::new();
        let mut sleeper = exchange.subscribe();
        for _ in 0..=QUEUE_BOUND {
            exchange.publish("moby", "/tasks/exit", Any::default()).unwrap();
        }
        for _ in 0..QUEUE_BOUND {
            sleeper.next().await.unwrap();
        }
        assert_eq!(sleeper.next().await.unwrap_err(), Lagged);
    }

    #[test]
    fn forwarded_events_need_a_time() {
        let unstamped = Envelope { topic: "/tasks/exit".into(), ..Default::default() };
        assert_eq!(Exchange::new().forward(unstamped).unwrap_err().kind(), errdefs::Kind::InvalidArgument);
    }
}
