//! Staying with a process until it ends: signals in, terminal through, exit code out.

use std::os::fd::{AsFd, OwnedFd};

use rustix::event::{PollFd, PollFlags, poll};
use rustix::process::{Pid, PidfdFlags, WaitOptions, WaitStatus, pidfd_open, waitpid};
use rustix::termios::{
    OptionalActions, OutputModes, Termios, isatty, tcgetattr, tcgetwinsize, tcsetattr, tcsetwinsize,
};
use syscalls::{descriptors, signals};

use super::Notify;
use super::channel::receive_with;
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
                notify.pass()?;
            }
            if ready[1] {
                if let Some(terminal) = &mut terminal {
                    terminal.drain();
                }
                let status = waitpid(Some(pid), WaitOptions::empty()).tried("cannot wait")?;
                return Ok(status.map_or(255, |(_, status)| exit_code(status)));
            }
        }
    }

    fn pass_signals(&self, pidfd: &OwnedFd, terminal: Option<&Terminal>) {
        let mut record = [0_u8; RECORD];
        while let Ok(RECORD) = rustix::io::read(&self.signals, &mut record) {
            let number = i32::from_ne_bytes([record[0], record[1], record[2], record[3]]);
            match number {
                // The pidfd tells of the process itself.
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

/// The code a shell would give: 128 and the signal's number for a killed process.
pub fn exit_code(status: WaitStatus) -> i32 {
    match (status.exit_status(), status.terminating_signal()) {
        (Some(code), _) => code,
        (None, Some(signal)) => 128 + signal,
        (None, None) => 255,
    }
}

/// The caller's terminal joined to the container's.
struct Terminal {
    master: OwnedFd,
    saved: Option<Termios>,
    stdin_open: bool,
    master_open: bool,
}

impl Terminal {
    fn receive(socket: &OwnedFd) -> Result<Terminal, Failure> {
        let mut name = [0_u8; 256];
        let (_, master) = receive_with(socket.as_fd(), &mut name).tried("cannot get the terminal")?;
        let master = master.ok_or_else(|| Failure::new("no terminal came"))?;
        let stdin = descriptors::standard(0);
        let saved = isatty(stdin).then(|| tcgetattr(stdin).ok()).flatten();
        if let Some(saved) = &saved {
            let mut raw = saved.clone();
            raw.make_raw();
            // The container's terminal leaves line ends as they are: they are made here.
            raw.output_modes |= saved.output_modes & OutputModes::OPOST;
            tcsetattr(stdin, OptionalActions::Now, &raw).tried("cannot set the terminal raw")?;
        }
        let terminal = Terminal { master, saved, stdin_open: true, master_open: true };
        terminal.resize();
        Ok(terminal)
    }

    fn resize(&self) {
        // A terminal without a size has none to pass on.
        if let Ok(size) = tcgetwinsize(descriptors::standard(0))
            && size.ws_row > 0
        {
            let _ = tcsetwinsize(&self.master, size);
        }
    }

    fn watch<'a>(&'a self, fds: &mut Vec<PollFd<'a>>) {
        if self.stdin_open {
            fds.push(PollFd::from_borrowed_fd(descriptors::standard(0), PollFlags::IN));
        }
        if self.master_open {
            fds.push(PollFd::new(&self.master, PollFlags::IN));
        }
    }

    /// Moves what is there; `ready` is in the order of [`Terminal::watch`].
    fn pump(&mut self, ready: &[bool]) {
        let mut ready = ready.iter().copied();
        if self.stdin_open && ready.next() == Some(true) {
            self.stdin_open = copy(descriptors::standard(0), self.master.as_fd());
        }
        if self.master_open && ready.next() == Some(true) {
            self.master_open = copy(self.master.as_fd(), descriptors::standard(1));
        }
    }

    /// Takes out what the process left in the terminal.
    fn drain(&mut self) {
        while self.master_open {
            let mut fds = [PollFd::new(&self.master, PollFlags::IN)];
            let now = rustix::event::Timespec { tv_sec: 0, tv_nsec: 0 };
            match poll(&mut fds, Some(&now)) {
                Ok(count) if count > 0 => {
                    self.master_open = copy(self.master.as_fd(), descriptors::standard(1));
                }
                _ => return,
            }
        }
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        if let Some(saved) = &self.saved {
            let _ = tcsetattr(descriptors::standard(0), OptionalActions::Flush, saved);
        }
    }
}

/// Copies one read; false at the end of `from` or of `to`.
fn copy(from: std::os::fd::BorrowedFd<'_>, to: std::os::fd::BorrowedFd<'_>) -> bool {
    let mut buffer = [0_u8; 8192];
    let Ok(length @ 1..) = rustix::io::read(from, &mut buffer) else { return false };
    let mut rest = &buffer[..length];
    while !rest.is_empty() {
        match rustix::io::write(to, rest) {
            Ok(written) => rest = &rest[written..],
            Err(rustix::io::Errno::INTR | rustix::io::Errno::AGAIN) => {}
            Err(_) => return false,
        }
    }
    true
}
