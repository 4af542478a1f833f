//! Signals that ctl receives and passes on.

use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};

const NAMES: &[(i32, &str)] = &[
    (1, "HUP"),
    (2, "INT"),
    (3, "QUIT"),
    (10, "USR1"),
    (12, "USR2"),
    (14, "ALRM"),
    (15, "TERM"),
    (18, "CONT"),
    (28, "WINCH"),
];

/// Name of a signal by number.
pub fn signal_name(number: i32) -> Option<&'static str> {
    NAMES.iter().find(|(known, _)| *known == number).map(|(_, name)| *name)
}

/// The signals that `--sig-proxy` passes to the container.
pub fn forwardable() -> &'static [i32] {
    &[1, 2, 3, 10, 12, 14, 15, 18]
}

/// Several signals as one stream.
pub struct Signals {
    streams: Vec<(i32, Signal)>,
}

impl Signals {
    /// Begins to catch them.
    ///
    /// # Errors
    /// The handler cannot be installed.
    pub fn catch(numbers: &[i32]) -> io::Result<Self> {
        let streams = numbers
            .iter()
            .map(|number| Ok((*number, signal(SignalKind::from_raw(*number))?)))
            .collect::<io::Result<_>>()?;
        Ok(Self { streams })
    }

    /// The next one received.
    pub async fn next(&mut self) -> i32 {
        std::future::poll_fn(|context| {
            for (number, stream) in &mut self.streams {
                if stream.poll_recv(context).is_ready() {
                    return std::task::Poll::Ready(*number);
                }
            }
            std::task::Poll::Pending
        })
        .await
    }
}
