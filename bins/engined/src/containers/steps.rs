//! Where the time of a start goes, in the debug log.

use std::time::Instant;

/// Tells how long one of several things at once took.
pub async fn timed<T>(step: &str, work: impl Future<Output = T>) -> T {
    let began = Instant::now();
    let done = work.await;
    tracing::debug!(step, micros = began.elapsed().as_micros() as u64, "step");
    done
}

/// How long the steps of a start took, for who looks for time.
pub struct Steps {
    last: Instant,
    text: String,
}

impl Steps {
    pub fn new() -> Steps {
        Steps { last: Instant::now(), text: String::new() }
    }

    pub fn done(&mut self, step: &str) {
        let now = Instant::now();
        self.text.push_str(&format!("{step} {} us; ", (now - self.last).as_micros()));
        self.last = now;
    }

    pub fn tell(&self, id: &str) {
        tracing::debug!(container = id, steps = self.text, "start");
    }
}
