//! Waiting for the kernel to say that a cgroup changed, by events where it has them.

use std::fs::File;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, pidfd_open};

use crate::error::{Error, Result};
use crate::file;

/// Reads `key` of a v2 `cgroup.events` file until it is `wanted`; false when time is up.
///
/// The kernel wakes pollers of that file with POLLPRI at each change (cgroup-v2.rst).
pub(crate) fn event(dir: &Path, key: &str, wanted: u64, timeout: Duration) -> Result<bool> {
    let path = dir.join("cgroup.events");
    let deadline = Instant::now() + timeout;
    let events = match File::open(&path) {
        Ok(file) => file,
        Err(e) => return Err(Error::path("open", path, e)),
    };
    loop {
        // A read from the start arms the next notification.
        let text = read_from_start(&events).map_err(|e| Error::path("read", &path, e))?;
        match file::flat_keyed(&text).find(|(k, _)| *k == key) {
            Some((_, value)) if value == wanted => return Ok(true),
            Some(_) => {}
            None => return Err(Error::malformed(&path, &text)),
        }
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Ok(false);
        }
        wait(&mut [PollFd::new(&events, PollFlags::PRI)], left);
    }
}

fn read_from_start(file: &File) -> std::io::Result<String> {
    let mut buffer = [0; 256];
    let n = rustix::io::pread(file.as_fd(), &mut buffer, 0)?;
    Ok(String::from_utf8_lossy(&buffer[..n]).into_owned())
}

/// Waits until all of the processes have exited; false when time is up.
///
/// Processes that cannot be watched (gone already, or a kernel without pidfd) count as exited.
pub(crate) fn exits(pids: &[i32], timeout: Duration) -> bool {
    let deadline = Instant::now() + timeout;
    for chunk in pids.chunks(128) {
        let mut open: Vec<OwnedFd> = chunk
            .iter()
            .filter_map(|pid| pidfd_open(Pid::from_raw(*pid)?, PidfdFlags::empty()).ok())
            .collect();
        while !open.is_empty() {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return false;
            }
            let mut fds: Vec<PollFd<'_>> = open.iter().map(|fd| PollFd::new(fd, PollFlags::IN)).collect();
            wait(&mut fds, left);
            let done: Vec<bool> = fds.iter().map(|fd| !fd.revents().is_empty()).collect();
            drop(fds);
            let mut done = done.into_iter();
            open.retain(|_| !done.next().unwrap_or(false));
        }
    }
    true
}

/// Polls once; errors (a signal) read as "nothing happened", and callers look again.
fn wait(fds: &mut [PollFd<'_>], timeout: Duration) {
    let time = Timespec {
        tv_sec: timeout.as_secs().try_into().unwrap_or(i64::MAX),
        tv_nsec: i64::from(timeout.subsec_nanos()),
    };
    let _ = poll(fds, Some(&time));
}

/// The pauses of a bounded retry where the kernel offers no event: 0.1 ms doubling up to 20 ms.
pub(crate) struct Backoff {
    pause: Duration,
    deadline: Instant,
}

impl Backoff {
    pub(crate) fn new(limit: Duration) -> Self {
        Backoff { pause: Duration::from_micros(100), deadline: Instant::now() + limit }
    }

    /// Pauses; false when the limit is reached.
    pub(crate) fn pause(&mut self) -> bool {
        if Instant::now() >= self.deadline {
            return false;
        }
        std::thread::sleep(self.pause);
        self.pause = (self.pause * 2).min(Duration::from_millis(20));
        true
    }
}
