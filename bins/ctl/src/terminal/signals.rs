//! Signals that ctl receives and passes on.

use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};

/// signal(7) on Linux, but for those that nobody can catch (KILL, STOP), those that a program's own mistakes send it
/// (ILL, TRAP, BUS, FPE, SEGV, SYS), and those that tell of its own files, children and window (PIPE, CHLD, URG,
/// WINCH): a container without a terminal has no window, and servers take WINCH for an order to stop.
const PASSED_ON: &[(i32, &str)] = &[
    (1, "HUP"),
    (2, "INT"),
    (3, "QUIT"),
    (6, "ABRT"),
    (10, "USR1"),
    (12, "USR2"),
    (14, "ALRM"),
    (15, "TERM"),
    (16, "STKFLT"),
    (18, "CONT"),
    (20, "TSTP"),
    (21, "TTIN"),
    (22, "TTOU"),
    (24, "XCPU"),
    (25, "XFSZ"),
    (26, "VTALRM"),
    (27, "PROF"),
    (29, "IO"),
    (30, "PWR"),
];
/// Real-time signals, as far as the C library leaves them to programs.
const REAL_TIME: std::ops::RangeInclusive<i32> = 34..=64;

/// How the engine is told of a signal: by name, where it has one.
pub fn signal_name(number: i32) -> String {
    let named = PASSED_ON.iter().find(|(known, _)| *known == number);
    named.map_or_else(|| number.to_string(), |(_, name)| (*name).to_owned())
}

/// The signals that `--sig-proxy` passes to the container.
pub fn forwardable() -> Vec<i32> {
    PASSED_ON.iter().map(|(number, _)| *number).chain(REAL_TIME).collect()
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_passed_on_has_a_name() {
        assert_eq!(
            (signal_name(15), signal_name(20), signal_name(40)),
            ("TERM".into(), "TSTP".into(), "40".into())
        );
        let all = forwardable();
        for own in [9, 11, 13, 17, 19, 23, 28] {
            assert!(!all.contains(&own), "{own}");
        }
        assert!(all.contains(&2) && all.contains(&64) && all.iter().all(|number| (1..=64).contains(number)));
    }
}
