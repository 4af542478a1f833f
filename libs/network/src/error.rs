//! What can go wrong, in the words that clients match.

use std::net::IpAddr;
use std::path::PathBuf;

use errdefs::Kind;
use ipnet::Ipv4Net;

/// Shorthand for this crate's results.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// A failure of container networking.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The kernel refused a netlink request.
    #[error("cannot {verb} {object}: {source}")]
    Netlink {
        /// What was tried, as in `create` or `set up`.
        verb: &'static str,
        /// On what, as in `bridge wherry0`.
        object: String,
        /// The kernel's answer.
        source: netlink::Error,
    },
    /// A system call failed.
    #[error("cannot {verb} {object}: {source}")]
    Io {
        /// What was tried.
        verb: &'static str,
        /// On what.
        object: String,
        /// The operating system's answer.
        source: std::io::Error,
    },
    /// The network namespace's file is there already.
    #[error("cannot create network namespace {}: the file exists", .0.display())]
    NetnsExists(PathBuf),
    /// No bridge of that name belongs to this stack.
    #[error("network bridge {0} not found")]
    NoSuchBridge(String),
    /// The bridge still has containers on it.
    #[error("cannot remove bridge {bridge}: {endpoints} endpoints are connected")]
    BridgeInUse {
        /// The bridge.
        bridge: String,
        /// How many endpoints use it.
        endpoints: usize,
    },
    /// A link of the bridge's name exists and is something else.
    #[error("cannot use {0} as a bridge: a link of this name exists and is not a bridge")]
    NotABridge(String),
    /// The bridge is another stack's.
    #[error("cannot use bridge {bridge}: it belongs to stack {owner}")]
    ForeignBridge {
        /// The bridge.
        bridge: String,
        /// The mark on it.
        owner: String,
    },
    /// A name that the kernel or a firewall table cannot carry.
    #[error("invalid name {name:?}: {reason}")]
    InvalidName {
        /// The offending name.
        name: String,
        /// The rule that it breaks.
        reason: &'static str,
    },
    /// The subnet cannot serve a bridge.
    #[error("invalid subnet {subnet}: {reason}")]
    InvalidSubnet {
        /// The offending subnet.
        subnet: Ipv4Net,
        /// The rule that it breaks.
        reason: String,
    },
    /// What a network is asked to be cannot be.
    #[error("{0}")]
    InvalidNetwork(String),
    /// Every candidate subnet overlaps with what the host already uses.
    #[error(
        "could not find an available, non-overlapping IPv4 address pool among the defaults to assign to the network"
    )]
    NoFreeSubnet,
    /// The subnet has no address left.
    #[error("no available IPv4 addresses on this network's address pools: {0}")]
    NoFreeAddress(String),
    /// A fixed address is taken.
    #[error("Address already in use")]
    AddressInUse(IpAddr),
    /// A fixed address is outside the subnet.
    #[error("no configured subnet contains IP address {0}")]
    AddressOutside(IpAddr),
    /// A MAC address that is none, or is not a unicast one.
    #[error("invalid MAC address {0:?}")]
    InvalidMac(String),
    /// Another container of this stack has the host port.
    #[error(
        "driver failed programming external connectivity on endpoint {name} ({id}): Bind for {} failed: port is already allocated",
        std::net::SocketAddr::new(*address, *port)
    )]
    PortAllocated {
        /// Name of the container.
        name: String,
        /// Identifier of the endpoint.
        id: String,
        /// Host address asked for.
        address: IpAddr,
        /// Host port asked for.
        port: u16,
    },
    /// A process of the host has the port, or it may not be bound.
    #[error(
        "driver failed programming external connectivity on endpoint {name} ({id}): failed to bind host port {}/{protocol}: {}",
        std::net::SocketAddr::new(*address, *port),
        crate::ports::bind_text(source)
    )]
    PortBind {
        /// Name of the container.
        name: String,
        /// Identifier of the endpoint.
        id: String,
        /// Host address asked for.
        address: IpAddr,
        /// Host port asked for.
        port: u16,
        /// `tcp`, `udp` or `sctp`.
        protocol: crate::Protocol,
        /// The operating system's answer.
        source: std::io::Error,
    },
    /// The whole range is taken.
    #[error(
        "driver failed programming external connectivity on endpoint {name} ({id}): all ports are allocated"
    )]
    NoFreePort {
        /// Name of the container.
        name: String,
        /// Identifier of the endpoint.
        id: String,
    },
    /// A request that this version does not serve.
    #[error("{0}")]
    Unsupported(String),
}

impl Error {
    /// The class of the failure, for the edge that turns it into a status.
    pub fn kind(&self) -> Kind {
        match self {
            Error::Netlink { source, .. } => match source.io_kind() {
                std::io::ErrorKind::PermissionDenied => Kind::PermissionDenied,
                _ => Kind::Internal,
            },
            Error::Io { source, .. } => match source.kind() {
                std::io::ErrorKind::PermissionDenied => Kind::PermissionDenied,
                std::io::ErrorKind::NotFound => Kind::NotFound,
                _ => Kind::Internal,
            },
            Error::NetnsExists(_) => Kind::AlreadyExists,
            Error::NoSuchBridge(_) => Kind::NotFound,
            Error::BridgeInUse { .. } | Error::AddressInUse(_) => Kind::PermissionDenied,
            Error::NotABridge(_) | Error::ForeignBridge { .. } => Kind::FailedPrecondition,
            Error::InvalidName { .. }
            | Error::InvalidSubnet { .. }
            | Error::InvalidNetwork(_)
            | Error::AddressOutside(_)
            | Error::InvalidMac(_) => Kind::InvalidArgument,
            Error::NoFreeSubnet | Error::NoFreeAddress(_) | Error::NoFreePort { .. } => {
                Kind::ResourceExhausted
            }
            // Docker answers 500 to a taken port; what clients match is the text.
            Error::PortAllocated { .. } | Error::PortBind { .. } => Kind::Internal,
            Error::Unsupported(_) => Kind::Unimplemented,
        }
    }

    pub(crate) fn netlink(
        verb: &'static str,
        object: impl Into<String>,
    ) -> impl FnOnce(netlink::Error) -> Error {
        let object = object.into();
        move |source| Error::Netlink { verb, object, source }
    }

    pub(crate) fn io<E: Into<std::io::Error>>(
        verb: &'static str,
        object: impl Into<String>,
    ) -> impl FnOnce(E) -> Error {
        let object = object.into();
        move |source| Error::Io { verb, object, source: source.into() }
    }
}
