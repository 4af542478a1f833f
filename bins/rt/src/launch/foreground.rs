//! Staying with a process until it ends: signals in, terminal through, exit code out.

use std::os::fd::{AsFd, OwnedFd};

use rustix::event::{PollFd, PollFlags, poll};
use rustix::process::{Pid, PidfdFlags, WaitOptions, WaitStatus, pidfd_open, wait};
use syscalls::signals;

use super::Notify;
use super::terminal::Terminal;
use crate::failure::{Failure, Tried};

/// Signals of this process as data; taken before the container's process is made, so that none
/// is lost.
pub struct Relay {
    signals: OwnedFd,
}

/// A signalfd_siginfo record; the first field is the number.
const RECORD: usize = 128;

impl Relay {
    pub fn start() -> Result<Relay, Failure> {
        Ok(Relay { signals: signals::take_all().tried("cannot take signals")? })
    }

    /// Relays until `pid` ends; returns its exit code.
    ///
    /// `console` delivers the terminal's master when the process has one; what arrives at `notify`
    /// is passed on.
    pub fn wait(self, pid: Pid, console: Option<OwnedFd>, notify: Option<Notify>) -> Result<i32, Failure> {
        let told = notify.as_ref().and_then(Notify::as_fd);
        let pidfd = pidfd_open(pid, PidfdFlags::empty()).tried("cannot watch the process")?;
        let mut terminal = console.map(|socket| Terminal::receive(&socket)).transpose()?;
        loop {
            let mut fds = vec![PollFd::new(&self.signals, PollFlags::IN), PollFd::new(&pidfd, PollFlags::IN)];
            fds.extend(told.map(|socket| PollFd::from_borrowed_fd(socket, PollFlags::IN)));
            let first = fds.len();
            if let Some(terminal) = &terminal {
                terminal.watch(&mut fds);
            }
            match poll(&mut fds, None) {
                Err(rustix::io::Errno::INTR) => continue,
                other => other.tried("cannot wait")?,
            };
            let ready: Vec<bool> = fds.iter().map(|fd| !fd.revents().is_empty()).collect();
            drop(fds);
            if ready[0] {
                self.pass_signals(&pidfd, terminal.as_ref());
            }
            if let Some(terminal) = &mut terminal {
                terminal.pump(&ready[first..]);
            }
            if let Some(notify) = &notify {
                // Who does not listen any more is no reason to leave the container.
                let _ = notify.pass();
            }
            if let Some(status) = reap(pid).tried("cannot wait")? {
                if let Some(terminal) = &mut terminal {
                    terminal.drain();
                }
                return Ok(exit_code(status));
            }
        }
    }

    fn pass_signals(&self, pidfd: &OwnedFd, terminal: Option<&Terminal>) {
        let mut record = [0_u8; RECORD];
        while let Ok(RECORD) = rustix::io::read(&self.signals, &mut record) {
            let number = i32::from_ne_bytes([record[0], record[1], record[2], record[3]]);
            match number {
                // Whoever has ended is looked for after every wake-up.
                libc::SIGCHLD => {}
                libc::SIGWINCH if terminal.is_some() => {
                    if let Some(terminal) = terminal {
                        terminal.resize();
                    }
                }
                // A stop by the keyboard is the shell's affair; SIGURG and SIGPIPE mean nobody.
                libc::SIGPIPE | libc::SIGURG | libc::SIGTSTP | libc::SIGTTIN | libc::SIGTTOU => {}
                other => {
                    // The process may be gone already.
                    let _ = signals::kill_by_pidfd(pidfd.as_fd(), other);
                }
            }
        }
    }
}

/// Lets go of all children that have ended, the container's orphans among them, which are adopted here
/// as long as the runtime stays; gives the status of `pid` once it is among them.
fn reap(pid: Pid) -> Result<Option<WaitStatus>, rustix::io::Errno> {
    while let Some((ended, status)) = wait(WaitOptions::NOHANG)? {
        if ended == pid {
            return Ok(Some(status));
        }
    }
    Ok(None)
}

/// The code a shell would give: 128 and the signal's number for a killed process.
pub fn exit_code(status: WaitStatus) -> i32 {
    match (status.exit_status(), status.terminating_signal()) {
        (Some(code), _) => code,
        (None, Some(signal)) => 128 + signal,
        (None, None) => 255,
    }
}
