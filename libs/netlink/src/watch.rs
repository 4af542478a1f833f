//! Being told that somebody changed the ruleset.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::io::Errno;
use rustix::net::netlink::{self, SocketAddrNetlink};
use rustix::net::{AddressFamily, RecvFlags, SocketFlags, SocketType, bind, recv, socket_with};

use crate::{Error, Result};

/// Bit of the multicast group `NFNLGRP_NFTABLES` (7).
const NFTABLES: u32 = 1 << 6;

/// A subscription to changes of nftables in the network namespace of the thread that made it.
/// Its descriptor does not block and is readable when something changed.
#[derive(Debug)]
pub struct Watch {
    fd: OwnedFd,
}

impl Watch {
    /// Subscribes.
    pub fn nftables() -> Result<Watch> {
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let fd = socket_with(AddressFamily::NETLINK, SocketType::RAW, flags, Some(netlink::NETFILTER))
            .map_err(Error::socket)?;
        bind(&fd, &SocketAddrNetlink::new(0, NFTABLES)).map_err(Error::socket)?;
        Ok(Watch { fd })
    }

    /// Forgets what was told so far; whether it was anything. What changed is not looked at: a
    /// reader that is too slow is told so, and that is a change, too.
    pub fn drain(&self) -> Result<bool> {
        let mut buffer = [0; 64];
        let mut changed = false;
        loop {
            match recv(&self.fd, &mut buffer, RecvFlags::DONTWAIT) {
                Ok(_) | Err(Errno::NOBUFS) => changed = true,
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => return Ok(changed),
                Err(errno) => return Err(Error::socket(errno)),
            }
        }
    }
}

impl AsFd for Watch {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}
