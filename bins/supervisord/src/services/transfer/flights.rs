//! One at a time for one thing, however many ask.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{Mutex as AsyncMutex, OwnedMutexGuard};

/// Locks by name: the second asker waits, and then finds the work done.
#[derive(Clone, Default)]
pub struct Flights(Arc<Mutex<HashMap<String, Arc<AsyncMutex<()>>>>>);

impl Flights {
    /// Waits for its turn at `name`.
    pub async fn take(&self, name: String) -> Flight {
        let lock = self.map().entry(name.clone()).or_default().clone();
        let guard = lock.lock_owned().await;
        Flight { flights: self.clone(), name, guard: Some(guard) }
    }

    fn map(&self) -> std::sync::MutexGuard<'_, HashMap<String, Arc<AsyncMutex<()>>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A turn; dropping it ends it.
pub struct Flight {
    flights: Flights,
    name: String,
    guard: Option<OwnedMutexGuard<()>>,
}

impl Drop for Flight {
    fn drop(&mut self) {
        self.guard = None;
        let mut map = self.flights.map();
        // The map's own is the last: nobody waits.
        if map.get(&self.name).is_some_and(|lock| Arc::strong_count(lock) == 1) {
            map.remove(&self.name);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_second_waits_and_nothing_stays() {
        let flights = Flights::default();
        let first = flights.take("a".into()).await;
        let other = flights.clone();
        let second = tokio::spawn(async move { other.take("a".into()).await });
        drop(flights.take("b".into()).await);
        assert!(!second.is_finished());
        drop(first);
        drop(second.await.unwrap());
        assert!(flights.map().is_empty());
    }
}
