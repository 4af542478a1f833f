//! A conversation with criu, started for one request (`criu swrk`).

use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::process::{Child, Command, Stdio};

use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};
use rustix::process::Pid;

use super::wire::{Value, Writer, fields};
use crate::failure::{Failure, Tried};
use crate::launch::{receive_with, send_with};

/// What criu is asked for; the numbers are `criu_req_type`'s.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Dump = 1,
    Restore = 2,
    PreDump = 4,
}

const NOTIFY: i64 = 6;

/// A moment that criu tells of, with the process that it is about and a descriptor, if there is one.
pub struct Moment<'a> {
    pub name: &'a str,
    pub pid: Option<Pid>,
    pub descriptor: Option<OwnedFd>,
}

/// A running criu.
pub struct Session {
    socket: OwnedFd,
    child: Child,
}

/// The descriptor number that criu finds its end at.
const THEIRS: i32 = 3;
const MESSAGE_MAX: usize = 64 * 1024;

impl Session {
    /// Starts criu; it finds its socket at 3 and `passed` from 4 up, in order.
    pub fn start(program: &str, passed: Vec<OwnedFd>) -> Result<Session, Failure> {
        let (ours, theirs) =
            socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)
                .tried("cannot make a socket")?;
        let mut command = Command::new(program);
        command.args(["swrk", &THEIRS.to_string()]).stdin(Stdio::null());
        let all = std::iter::once(theirs).chain(passed);
        let numbered = all.zip(THEIRS..).collect();
        syscalls::spawn::pass_all(&mut command, numbered);
        let child = command.spawn().tried(format!("cannot run {program}"))?;
        // Our copies of its descriptors go with the command.
        drop(command);
        Ok(Session { socket: ours, child })
    }

    /// The number that the descriptor passed at `index` has in criu.
    pub fn number(index: usize) -> i64 {
        THEIRS as i64 + 1 + index as i64
    }

    pub fn pid(&self) -> Option<Pid> {
        Pid::from_raw(self.child.id() as i32)
    }

    /// Sends the request and answers criu's notices until it is served; returns the restored
    /// process's id, if one is told.
    pub fn ask(
        mut self,
        kind: Kind,
        options: &Writer,
        mut notice: impl FnMut(Moment<'_>) -> Result<(), Failure>,
    ) -> Result<Option<Pid>, Failure> {
        let mut request = Writer::default();
        request.number(1, kind as i64);
        request.bytes(2, &options.bytes);
        send_with(self.socket.as_fd(), &request.bytes, None).tried("cannot reach criu")?;
        let mut buffer = vec![0; MESSAGE_MAX];
        let served = loop {
            let (length, descriptor) =
                receive_with(self.socket.as_fd(), &mut buffer).tried("cannot hear criu")?;
            if length == 0 {
                break Err(Failure::new("criu ended without an answer"));
            }
            let unclear = || Failure::new("criu is not understood");
            let answer = Answer::read(&buffer[..length]).ok_or_else(unclear)?;
            if answer.kind != NOTIFY {
                break answer.outcome(kind);
            }
            let moment = Moment { name: &answer.script, pid: answer.pid, descriptor };
            let result = notice(moment);
            let mut reply = Writer::default();
            reply.number(1, NOTIFY);
            reply.number(3, i64::from(result.is_ok()));
            send_with(self.socket.as_fd(), &reply.bytes, None).tried("cannot reach criu")?;
            if let Err(failure) = result {
                break Err(failure);
            }
        };
        drop(self.socket);
        let _ = self.child.wait();
        served
    }
}

/// `criu_resp`.
#[derive(Debug, Default)]
struct Answer {
    kind: i64,
    success: bool,
    script: String,
    pid: Option<Pid>,
    errno: i32,
    message: String,
}

impl Answer {
    fn read(bytes: &[u8]) -> Option<Answer> {
        let mut answer = Answer::default();
        let text = |value: Value<'_>| String::from_utf8_lossy(value.bytes()).into_owned();
        for (field, value) in fields(bytes)? {
            match field {
                1 => answer.kind = value.number() as i64,
                2 => answer.success = value.number() != 0,
                4 => {
                    for (inner, value) in fields(value.bytes())? {
                        if inner == 1 {
                            answer.pid = Pid::from_raw(value.number() as i32);
                        }
                    }
                }
                5 => {
                    for (inner, value) in fields(value.bytes())? {
                        match inner {
                            1 => answer.script = text(value),
                            2 => answer.pid = Pid::from_raw(value.number() as i32),
                            _ => {}
                        }
                    }
                }
                7 => answer.errno = value.number() as i32,
                9 => answer.message = text(value),
                _ => {}
            }
        }
        Some(answer)
    }

    fn outcome(self, kind: Kind) -> Result<Option<Pid>, Failure> {
        if self.success {
            return Ok(self.pid);
        }
        let mut text = format!("criu failed: type {kind:?} errno {}", self.errno);
        if !self.message.is_empty() {
            text = format!("{text}: {}", self.message.trim());
        }
        Err(Failure::new(text))
    }
}

/// Gives a descriptor to criu under the number that [`Session::number`] tells.
pub fn duplicate(fd: impl AsFd) -> Result<OwnedFd, Failure> {
    let number = fd.as_fd().as_raw_fd();
    rustix::io::fcntl_dupfd_cloexec(fd, 3).tried(format!("cannot duplicate descriptor {number}"))
}
