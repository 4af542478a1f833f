//! Which descriptors a process keeps.

use std::os::fd::RawFd;

use syscalls::descriptors::Closing;

use crate::failure::{Failure, Tried};

/// The first number that no foreign program gets.
#[derive(Debug, Clone, Copy)]
pub struct Kept {
    first_closed: RawFd,
    /// Descriptors of systemd's socket activation among the kept ones, sd_listen_fds(3).
    pub listen: i32,
}

impl Kept {
    /// Counts `--preserve-fds` and LISTEN_FDS, and checks that those descriptors are open.
    pub fn read(preserve: i32) -> Result<Kept, Failure> {
        let listen = std::env::var("LISTEN_FDS")
            .ok()
            .and_then(|text| text.parse::<i32>().ok())
            .filter(|count| (0..=1024).contains(count))
            .unwrap_or(0);
        let total = preserve.checked_add(listen).filter(|_| preserve >= 0);
        let first_closed = total
            .and_then(|total| total.checked_add(3))
            .ok_or_else(|| Failure::new(format!("invalid number of descriptors {preserve}")))?;
        for number in 3..first_closed {
            if !syscalls::descriptors::is_passed(number) {
                return Err(Failure::new(format!("cannot preserve descriptor {number}: not open")));
            }
        }
        Ok(Kept { first_closed, listen })
    }

    /// Closes all others but these: a caller's descriptors are not held for as long as a created
    /// container waits. For who uses nothing else from here to its end.
    pub fn close_others_but(self, used: &mut [RawFd]) -> Result<(), Failure> {
        used.sort_unstable();
        let mut first = self.first_closed;
        let close = |first, last| syscalls::descriptors::close_range(first, last, Closing::Now);
        for number in used.iter().filter(|number| **number >= self.first_closed) {
            close(first, number - 1).tried("cannot close descriptors")?;
            first = number + 1;
        }
        close(first, RawFd::MAX).tried("cannot close descriptors")
    }

    /// Lets nothing else into any program that this process becomes or starts (CVE-2024-21626).
    pub fn close_others_on_exec(self) -> Result<(), Failure> {
        syscalls::descriptors::close_from(self.first_closed, Closing::OnExec)
            .tried("cannot close descriptors")
    }
}
