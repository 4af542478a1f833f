//! The caller's terminal joined to the container's.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use rustix::termios::{
    OptionalActions, OutputModes, Termios, isatty, tcgetattr, tcgetwinsize, tcsetattr, tcsetwinsize,
};
use syscalls::descriptors;

use super::channel::receive_with;
use crate::failure::{Failure, Tried};

/// As much as a pipe that can be written to takes without blocking (PIPE_BUF).
const CHUNK: usize = 4096;

/// One direction. What cannot be written yet is kept, and nothing is read before that is gone.
#[derive(Debug)]
struct Flow {
    held: Vec<u8>,
    /// Whether there is more to come.
    open: bool,
    /// Whether somebody takes it.
    taken: bool,
}

impl Flow {
    fn new() -> Flow {
        Flow { held: Vec::new(), open: true, taken: true }
    }

    fn wants_more(&self) -> bool {
        self.open && self.held.is_empty()
    }

    fn read(&mut self, from: BorrowedFd<'_>) {
        let mut buffer = [0_u8; CHUNK];
        match rustix::io::read(from, &mut buffer) {
            Ok(length @ 1..) if self.taken => self.held.extend_from_slice(&buffer[..length]),
            Ok(1..) | Err(Errno::INTR | Errno::AGAIN) => {}
            // A terminal that nobody has open any more gives EIO.
            Ok(0) | Err(_) => self.open = false,
        }
    }

    fn write(&mut self, to: BorrowedFd<'_>) {
        match rustix::io::write(to, &self.held) {
            Ok(length) => drop(self.held.drain(..length)),
            Err(Errno::INTR | Errno::AGAIN) => {}
            Err(_) => {
                self.held.clear();
                self.taken = false;
            }
        }
    }
}

/// What can be waited for.
#[derive(Debug, Clone, Copy)]
enum End {
    Stdin,
    Master,
    Stdout,
}

/// Both directions, neither of which ever waits for the other: a program that is not read from does
/// not read either.
#[derive(Debug)]
pub struct Terminal {
    master: OwnedFd,
    saved: Option<Termios>,
    input: Flow,
    output: Flow,
}

impl Terminal {
    /// Takes the master from `socket`, and makes the caller's own terminal raw.
    pub fn receive(socket: &OwnedFd) -> Result<Terminal, Failure> {
        let mut name = [0_u8; 256];
        let (_, master) = receive_with(socket.as_fd(), &mut name).tried("cannot get the terminal")?;
        let master = master.ok_or_else(|| Failure::new("no terminal came"))?;
        rustix::io::ioctl_fionbio(&master, true).tried("cannot set up the terminal")?;
        let stdin = descriptors::standard(0);
        let saved = isatty(stdin).then(|| tcgetattr(stdin).ok()).flatten();
        if let Some(saved) = &saved {
            let mut raw = saved.clone();
            raw.make_raw();
            // The container's terminal leaves line ends as they are: they are made here.
            raw.output_modes |= saved.output_modes & OutputModes::OPOST;
            tcsetattr(stdin, OptionalActions::Now, &raw).tried("cannot set the terminal raw")?;
        }
        let terminal = Terminal { master, saved, input: Flow::new(), output: Flow::new() };
        terminal.resize();
        Ok(terminal)
    }

    /// Gives the container's terminal the size of the caller's.
    pub fn resize(&self) {
        // A terminal without a size has none to pass on.
        if let Ok(size) = tcgetwinsize(descriptors::standard(0))
            && size.ws_row > 0
        {
            let _ = tcsetwinsize(&self.master, size);
        }
    }

    /// What there is to wait for now, and for what.
    fn wanted(&self) -> impl Iterator<Item = (End, PollFlags)> {
        let if_so = |wanted: bool, flag| if wanted { flag } else { PollFlags::empty() };
        let master = if_so(self.output.wants_more(), PollFlags::IN)
            | if_so(!self.input.held.is_empty(), PollFlags::OUT);
        let input = self.input.taken && self.input.wants_more();
        let ends = [
            (End::Stdin, if_so(input, PollFlags::IN)),
            (End::Master, master),
            (End::Stdout, if_so(!self.output.held.is_empty(), PollFlags::OUT)),
        ];
        ends.into_iter().filter(|(_, flags)| !flags.is_empty())
    }

    /// Adds what there is to wait for.
    pub fn watch<'a>(&'a self, fds: &mut Vec<PollFd<'a>>) {
        fds.extend(self.wanted().map(|(end, flags)| match end {
            End::Stdin => PollFd::from_borrowed_fd(descriptors::standard(0), flags),
            End::Master => PollFd::new(&self.master, flags),
            End::Stdout => PollFd::from_borrowed_fd(descriptors::standard(1), flags),
        }));
    }

    /// Moves what can be moved; `ready` is in the order of [`Terminal::watch`].
    pub fn pump(&mut self, ready: &[bool]) {
        let ready: Vec<End> =
            self.wanted().zip(ready).filter(|(_, ready)| **ready).map(|((end, _), _)| end).collect();
        for end in ready {
            match end {
                End::Stdin => self.input.read(descriptors::standard(0)),
                End::Stdout => self.output.write(descriptors::standard(1)),
                End::Master => {
                    if !self.input.held.is_empty() {
                        self.input.write(self.master.as_fd());
                    }
                    if self.output.wants_more() {
                        self.output.read(self.master.as_fd());
                    }
                }
            }
        }
    }

    /// Takes out what the process left in the terminal.
    pub fn drain(&mut self) {
        let stdout = descriptors::standard(1);
        loop {
            while !self.output.held.is_empty() {
                // The caller's own may have been made to refuse what it cannot take at once.
                let _ = poll(&mut [PollFd::from_borrowed_fd(stdout, PollFlags::OUT)], None);
                self.output.write(stdout);
            }
            if self.output.open {
                self.output.read(self.master.as_fd());
            }
            if self.output.held.is_empty() {
                return;
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
