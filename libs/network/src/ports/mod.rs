//! Published ports: what is asked for and what was given.

mod allocator;

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::OwnedFd;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::{Error, Result};

pub(crate) use allocator::{Owner, Ports, bind_text};

/// A transport whose ports can be published.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Protocol {
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
    /// SCTP.
    Sctp,
}

impl Protocol {
    /// Its number in the IP header.
    pub fn number(self) -> u8 {
        match self {
            Protocol::Tcp => 6,
            Protocol::Udp => 17,
            Protocol::Sctp => 132,
        }
    }
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Protocol::Tcp => "tcp",
            Protocol::Udp => "udp",
            Protocol::Sctp => "sctp",
        })
    }
}

impl FromStr for Protocol {
    type Err = Error;

    fn from_str(text: &str) -> Result<Protocol> {
        match text {
            "tcp" => Ok(Protocol::Tcp),
            "udp" => Ok(Protocol::Udp),
            "sctp" => Ok(Protocol::Sctp),
            _ => Err(Error::InvalidName { name: text.to_owned(), reason: "a protocol is tcp, udp or sctp" }),
        }
    }
}

/// Host ports that would do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HostPorts {
    /// Any port of the host's ephemeral range (`-p 80`, `-P`).
    Ephemeral,
    /// The first free one from first to last, both included (`-p 8080:80`, `-p 8000-8010:80`).
    Range(u16, u16),
}

/// A port to publish.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PortRequest {
    /// Transport.
    pub protocol: Protocol,
    /// Port inside the container.
    pub container_port: u16,
    /// Host address; `None` is every address: `0.0.0.0`, and `::` for a container with IPv6, or
    /// where ports are relayed. An IPv6 one needs one of the two.
    pub host_address: Option<IpAddr>,
    /// Host ports that would do.
    pub host_ports: HostPorts,
}

/// A published port.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct PortBinding {
    /// Transport.
    pub protocol: Protocol,
    /// Host address, `0.0.0.0` for every one of IPv4, `::` of IPv6.
    pub host_address: IpAddr,
    /// Host port; zero where none is taken, because packets go to the container's own address.
    pub host_port: u16,
    /// Port inside the container.
    pub container_port: u16,
}

impl PortBinding {
    /// The port is open at the container's own address, and nowhere on the host.
    pub fn is_routed(&self) -> bool {
        self.host_port == 0
    }
}

/// A published port that the kernel does not lead to its container: IPv6 to a container of IPv4,
/// the host's own `::1`, or everything without a firewall. Somebody has to carry what comes.
#[derive(Debug)]
pub struct Relay {
    /// TCP or UDP.
    pub protocol: Protocol,
    /// The host port's socket, which does not block: of TCP it listens. It goes on to hold the port
    /// until it is dropped.
    pub socket: OwnedFd,
    /// The container's port.
    pub to: SocketAddr,
}
