//! What the runtime and the process it makes say to each other.

use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};

use rustix::net::{
    self, AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, SocketFlags, SocketType,
};

use crate::failure::{Failure, Tried};

/// One note; each stands for one step that the other side waits for.
#[derive(Debug)]
pub enum Note {
    /// Init's process id, from the process in between.
    Pid(i32),
    /// The process is in its user namespace and needs ids.
    WantsIds,
    /// The process is in its cgroup namespace and goes to a group below.
    WantsDelegation,
    /// The process is in its network namespace and needs devices.
    WantsDevices,
    /// The tree copied for the mount of this place in the list needs its ids mapped.
    WantsMapping(usize, OwnedFd),
    /// Namespaces and mounts are made, the root is not changed yet.
    WantsHooks,
    /// The agent at the listener's path needs this descriptor.
    Listener(OwnedFd),
    /// All that can fail before the program runs is done.
    Ready,
    /// Go on.
    Go,
    /// The process gives up.
    Failed(String),
}

/// One end.
#[derive(Debug)]
pub struct Channel {
    socket: OwnedFd,
}

impl AsRawFd for Channel {
    fn as_raw_fd(&self) -> RawFd {
        self.socket.as_raw_fd()
    }
}

const LENGTH_MAX: usize = 16 * 1024;

impl Channel {
    /// Both ends; a packet is a note, the end of the stream is the death of the other side.
    pub fn pair() -> io::Result<(Channel, Channel)> {
        let (a, b) = net::socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)?;
        Ok((Channel { socket: a }, Channel { socket: b }))
    }

    pub fn send(&self, note: &Note) -> Result<(), Failure> {
        let (tag, text, fd) = match note {
            Note::Pid(pid) => (b'P', pid.to_string(), None),
            Note::WantsIds => (b'I', String::new(), None),
            Note::WantsDelegation => (b'C', String::new(), None),
            Note::WantsDevices => (b'D', String::new(), None),
            Note::WantsMapping(place, tree) => (b'M', place.to_string(), Some(tree.as_fd())),
            Note::WantsHooks => (b'H', String::new(), None),
            Note::Listener(fd) => (b'L', String::new(), Some(fd.as_fd())),
            Note::Ready => (b'R', String::new(), None),
            Note::Go => (b'G', String::new(), None),
            Note::Failed(text) => (b'F', text.clone(), None),
        };
        let mut packet = vec![tag];
        packet.extend(text.bytes().take(LENGTH_MAX - 1));
        send_with(self.socket.as_fd(), &packet, fd).tried("cannot reach the other side")
    }

    /// The next note; none when the other side is gone.
    pub fn receive(&self) -> Result<Option<Note>, Failure> {
        let mut bytes = [0_u8; LENGTH_MAX];
        let (length, fd) =
            receive_with(self.socket.as_fd(), &mut bytes).tried("cannot hear the other side")?;
        let Some((tag, text)) = bytes[..length].split_first() else { return Ok(None) };
        let text = || String::from_utf8_lossy(text).into_owned();
        let unclear = || Failure::new("the other side is not understood");
        Ok(Some(match tag {
            b'P' => Note::Pid(text().parse().map_err(|_| unclear())?),
            b'I' => Note::WantsIds,
            b'C' => Note::WantsDelegation,
            b'D' => Note::WantsDevices,
            b'M' => Note::WantsMapping(text().parse().map_err(|_| unclear())?, fd.ok_or_else(unclear)?),
            b'H' => Note::WantsHooks,
            b'L' => Note::Listener(fd.ok_or_else(unclear)?),
            b'R' => Note::Ready,
            b'G' => Note::Go,
            b'F' => Note::Failed(text()),
            _ => return Err(unclear()),
        }))
    }

    /// Waits for leave to go on.
    pub fn await_go(&self) -> Result<(), Failure> {
        match self.receive()? {
            Some(Note::Go) => Ok(()),
            _ => Err(Failure::new("the runtime went away")),
        }
    }
}

/// Sends bytes and one descriptor, unix(7).
pub fn send_with(socket: BorrowedFd<'_>, bytes: &[u8], fd: Option<BorrowedFd<'_>>) -> io::Result<()> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    let fds: Vec<BorrowedFd<'_>> = fd.into_iter().collect();
    if !fds.is_empty() {
        control.push(SendAncillaryMessage::ScmRights(&fds));
    }
    net::sendmsg(socket, &[IoSlice::new(bytes)], &mut control, SendFlags::NOSIGNAL)?;
    Ok(())
}

/// Receives one packet and at most one descriptor.
pub fn receive_with(socket: BorrowedFd<'_>, bytes: &mut [u8]) -> io::Result<(usize, Option<OwnedFd>)> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let flags = RecvFlags::CMSG_CLOEXEC;
    let mut slices = [IoSliceMut::new(bytes)];
    let received = loop {
        match net::recvmsg(socket, &mut slices, &mut control, flags) {
            Err(rustix::io::Errno::INTR) => {}
            // A process that was killed with unread notes resets the connection.
            Err(rustix::io::Errno::CONNRESET) => return Ok((0, None)),
            other => break other?,
        }
    };
    let mut fd = None;
    for message in control.drain() {
        if let RecvAncillaryMessage::ScmRights(fds) = message {
            fd = fds.last();
        }
    }
    Ok((received.bytes, fd))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn notes_arrive_whole_and_in_order() {
        let (a, b) = Channel::pair().unwrap();
        a.send(&Note::Failed("é".to_owned())).unwrap();
        a.send(&Note::Listener(std::fs::File::open("/dev/null").unwrap().into())).unwrap();
        a.send(&Note::Pid(7)).unwrap();
        drop(a);
        assert!(matches!(b.receive(), Ok(Some(Note::Failed(text))) if text == "é"));
        assert!(matches!(b.receive(), Ok(Some(Note::Listener(_)))));
        assert!(matches!(b.receive(), Ok(Some(Note::Pid(7)))));
        assert!(matches!(b.receive(), Ok(None)));
    }
}
