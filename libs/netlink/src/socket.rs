//! A netlink socket: requests out, answers in.

use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use rustix::io::Errno;
use rustix::net::sockopt::{
    Timeout, set_socket_recv_buffer_size_force, set_socket_send_buffer_size_force, set_socket_timeout,
};
use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, netlink, recv, send, socket_with,
};
use syscalls::netns::enable_netlink_option;

use crate::error::acknowledgement;
use crate::{Error, Header, Messages, Request, Result};

const NLMSG_NOOP: u16 = 1;
const NLMSG_ERROR: u16 = 2;
const NLMSG_DONE: u16 = 3;
const NETLINK_CAP_ACK: i32 = 10;
const NETLINK_EXT_ACK: i32 = 11;
const NETLINK_GET_STRICT_CHK: i32 = 12;
/// The kernel answers before send(2) returns; only a broken kernel lets anybody wait.
const PATIENCE: Duration = Duration::from_secs(10);

/// Whom a socket talks to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// Links, addresses, routes: rtnetlink(7).
    Route,
    /// nftables and connection tracking.
    Netfilter,
}

/// An open socket in the network namespace of the thread that opened it.
#[derive(Debug)]
pub struct Socket {
    fd: OwnedFd,
    sequence: u32,
    buffer: Vec<u8>,
}

impl Socket {
    /// Opens one. Needs no privilege; most requests do.
    pub fn open(family: Family) -> Result<Socket> {
        let protocol = match family {
            // NETLINK_ROUTE is 0, the family's default protocol.
            Family::Route => None,
            Family::Netfilter => Some(netlink::NETFILTER),
        };
        let fd = socket_with(AddressFamily::NETLINK, SocketType::RAW, SocketFlags::CLOEXEC, protocol)
            .map_err(Error::socket)?;
        enable_netlink_option(&fd, NETLINK_CAP_ACK).map_err(Error::socket)?;
        enable_netlink_option(&fd, NETLINK_EXT_ACK).map_err(Error::socket)?;
        // Since Linux 4.20: dumps obey the filters in their request.
        let _ = enable_netlink_option(&fd, NETLINK_GET_STRICT_CHK);
        set_socket_timeout(&fd, Timeout::Recv, Some(PATIENCE)).map_err(Error::socket)?;
        Ok(Socket { fd, sequence: 0, buffer: Vec::new() })
    }

    /// Allows requests of this many bytes in one go; the default is about 200 KiB. Unprivileged
    /// callers keep what they have.
    pub fn reserve_send_bytes(&self, bytes: usize) {
        // The kernel doubles the value for its bookkeeping; a refusal shows when sending.
        let _ = set_socket_send_buffer_size_force(&self.fd, bytes);
        let _ = set_socket_recv_buffer_size_force(&self.fd, bytes);
    }

    /// Sends every message and waits for the acknowledgement of each; the messages must carry
    /// [`crate::flags::ACK`] or [`crate::flags::DUMP`]. Answers other than acknowledgements go to
    /// `visit` with the index of the message that they answer. The kernel handles each message
    /// on its own: a refused one does not stop those behind it.
    ///
    /// # Errors
    /// The first refusal, with the index of its message.
    pub fn exchange(
        &mut self,
        request: &mut Request,
        mut visit: impl FnMut(usize, Header<'_>),
    ) -> Result<()> {
        if request.is_empty() {
            return Ok(()); // The kernel calls it an error.
        }
        let first = self.send(request)?;
        let mut waiting = request.len();
        let mut refusal = None;
        while waiting > 0 {
            let datagram = self.receive(RecvFlags::empty())?.ok_or(Error::NoAnswer)?;
            for message in Messages::new(&datagram) {
                let message = message?;
                let index = message.sequence.wrapping_sub(first) as usize;
                if index >= request.len() {
                    continue; // The late answer to a request that was given up.
                }
                match message.kind {
                    NLMSG_NOOP => {}
                    NLMSG_ERROR => {
                        waiting = waiting.saturating_sub(1);
                        let answer = acknowledgement(message.flags, message.payload)?;
                        refusal = refusal.or(answer.map(|(errno, text)| Error::Kernel {
                            errno,
                            text,
                            message: index,
                        }));
                    }
                    NLMSG_DONE => waiting = waiting.saturating_sub(1),
                    _ => visit(index, message),
                }
            }
            self.buffer = datagram;
        }
        refusal.map_or(Ok(()), Err)
    }

    /// Sends a batch of which at least one message carries [`crate::flags::ACK`], and which the
    /// kernel applies as a whole or not at all (nfnetlink). All answers are there when send(2)
    /// returns.
    ///
    /// # Errors
    /// The first refusal, with the index of its message.
    pub fn transact(&mut self, request: &mut Request) -> Result<()> {
        let first = self.send(request)?;
        let mut acknowledged = false;
        let mut refusal = None;
        while let Some(datagram) = self.receive(RecvFlags::DONTWAIT)? {
            for message in Messages::new(&datagram) {
                let message = message?;
                let index = message.sequence.wrapping_sub(first) as usize;
                if message.kind != NLMSG_ERROR || index >= request.len() {
                    continue;
                }
                acknowledged = true;
                let answer = acknowledgement(message.flags, message.payload)?;
                refusal =
                    refusal.or(answer.map(|(errno, text)| Error::Kernel { errno, text, message: index }));
            }
            self.buffer = datagram;
        }
        match refusal {
            Some(refusal) => Err(refusal),
            None if acknowledged => Ok(()),
            None => Err(Error::NoAnswer),
        }
    }

    fn send(&mut self, request: &mut Request) -> Result<u32> {
        request.bytes()?;
        let first = self.sequence.wrapping_add(1);
        self.sequence = self.sequence.wrapping_add(request.len() as u32);
        for (index, start) in request.starts.iter().enumerate() {
            let sequence = first.wrapping_add(index as u32);
            request.buffer[start + 8..start + 12].copy_from_slice(&sequence.to_ne_bytes());
        }
        rustix::io::retry_on_intr(|| send(&self.fd, &request.buffer, SendFlags::empty()))
            .map_err(Error::socket)?;
        Ok(first)
    }

    /// One datagram, in the socket's own buffer: the caller puts it back.
    fn receive(&mut self, flags: RecvFlags) -> Result<Option<Vec<u8>>> {
        let mut buffer = std::mem::take(&mut self.buffer);
        buffer.resize(64 << 10, 0);
        match rustix::io::retry_on_intr(|| recv(&self.fd, buffer.as_mut_slice(), flags | RecvFlags::TRUNC)) {
            Ok((_, length)) if length > buffer.len() => Err(Error::Malformed("datagram longer than 64 KiB")),
            Ok((_, length)) => {
                buffer.truncate(length);
                Ok(Some(buffer))
            }
            Err(Errno::AGAIN) => Ok(None),
            Err(errno) => Err(Error::socket(errno)),
        }
    }
}

impl AsFd for Socket {
    fn as_fd(&self) -> std::os::fd::BorrowedFd<'_> {
        self.fd.as_fd()
    }
}
