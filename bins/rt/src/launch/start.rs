//! Letting a created container's init run its program.

use std::fs::File;
use std::io::Read;
use std::os::fd::{AsFd, OwnedFd};

use runtime_spec::Status;
use rustix::event::{PollFd, PollFlags, poll};
use rustix::fs::{CWD, Mode, OFlags};
use rustix::process::{Pid, PidfdFlags, pidfd_open};

use super::channel::{Channel, Note};
use super::run_hooks;
use crate::container::Container;
use crate::failure::{Failure, Tried};

const GONE: &str = "cannot start a container that has stopped";

/// What became of an init that was let go.
#[derive(Debug)]
pub enum Outcome {
    /// Its program runs, or has run.
    Program,
    /// A startContainer hook failed, or the program could not be executed.
    None(Failure),
}

impl Outcome {
    fn none(text: String) -> Outcome {
        Outcome::None(Failure::new(text).within("unable to start container process"))
    }
}

/// Gives init leave over the channel; returns when its program runs.
pub fn let_go(channel: &Channel) -> Result<Outcome, Failure> {
    channel.send(&Note::Go)?;
    match channel.receive()? {
        None => Ok(Outcome::Program),
        Some(Note::Failed(text)) => Ok(Outcome::none(text)),
        Some(_) => Err(Failure::new("init spoke out of turn")),
    }
}

/// Opens the fifo that init waits at, and returns when init's program has closed its end; what
/// init wrote into it is why there is no program.
pub fn open_fifo(container: &Container) -> Result<Outcome, Failure> {
    let path = container.fifo();
    let pid = Pid::from_raw(container.record.init_process_pid).ok_or_else(|| Failure::new(GONE))?;
    let init = pidfd_open(pid, PidfdFlags::empty()).map_err(|_| Failure::new(GONE))?;
    // Not to be held up where nobody writes any more.
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let fifo: OwnedFd = rustix::fs::openat(CWD, &path, flags, Mode::empty()).tried("open exec fifo")?;
    let mut text = Vec::new();
    let mut met = false;
    let mut gone_before = false;
    loop {
        let mut fds = [PollFd::new(&fifo, PollFlags::IN), PollFd::new(&init, PollFlags::IN)];
        match poll(&mut fds, None) {
            Err(rustix::io::Errno::INTR) => continue,
            other => other.tried("cannot wait for init")?,
        };
        let (at_fifo, gone) = (fds[0].revents(), !fds[1].revents().is_empty());
        if !at_fifo.is_empty() {
            let mut buffer = [0_u8; 4096];
            match File::from(fifo.as_fd().try_clone_to_owned().tried("read exec fifo")?).read(&mut buffer) {
                Ok(0) => break,
                Ok(length) => {
                    met = true;
                    text.extend_from_slice(&buffer[..length]);
                    continue;
                }
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(error).tried("read exec fifo"),
            }
        }
        if gone && !met {
            // It may have written and ended between the looks at the one and at the other.
            if gone_before {
                return Err(Failure::new(GONE));
            }
            gone_before = true;
        }
    }
    std::fs::remove_file(&path).tried("cannot remove exec fifo")?;
    // The first byte is init's greeting.
    match text.strip_prefix(b"0") {
        Some(b"") => Ok(Outcome::Program),
        Some(text) => {
            await_end(&init)?;
            Ok(Outcome::none(String::from_utf8_lossy(text).into_owned()))
        }
        None => Err(Failure::new(GONE)),
    }
}

/// Init's last words are not its end: until then its container would seem to run.
fn await_end(init: &OwnedFd) -> Result<(), Failure> {
    loop {
        match poll(&mut [PollFd::new(init, PollFlags::IN)], None) {
            Err(rustix::io::Errno::INTR) => {}
            other => return other.map(drop).tried("cannot wait for init"),
        }
    }
}

/// Runs the poststart hooks, whether there is a program or not: every other runtime runs them as soon
/// as init is let go, which callers and youki's suite rely on, though the specification would have
/// a failing startContainer hook keep them off. They are told by the state.
pub fn after_start(container: &Container, outcome: &Outcome) -> Result<(), Failure> {
    let record = &container.record;
    let status = match outcome {
        Outcome::Program => Status::Running,
        Outcome::None(_) => Status::Stopped,
    };
    run_hooks("poststart", &record.poststart, &record.state(status))
}
