//! Published ports: what is asked for and what was given.

mod allocator;

use std::fmt;
use std::net::IpAddr;
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
    /// Host address; `None` is every address: `0.0.0.0`, and `::` for a container with IPv6. An
    /// IPv6 one needs such a container.
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
    /// Host port.
    pub host_port: u16,
    /// Port inside the container.
    pub container_port: u16,
}
