//! An endpoint: one container's place on one bridge.

use std::net::Ipv4Addr;

use serde::{Deserialize, Serialize};

use crate::{MacAddress, PortBinding, PortRequest};

/// What a container asks of a network.
#[derive(Clone, Debug)]
pub struct ConnectRequest {
    /// The bridge to join.
    pub bridge: String,
    /// Name of the container, for error texts only.
    pub container: String,
    /// Fixed address (`--ip`).
    pub address: Option<Ipv4Addr>,
    /// Fixed link-layer address (`--mac-address`); else the one that belongs to the address.
    pub mac: Option<MacAddress>,
    /// Name of the link inside the namespace; else the first free of `eth0`, `eth1`, ...
    pub interface: Option<String>,
    /// Whether the default route goes through this bridge (the container's gateway network).
    pub default_route: bool,
    /// Ports to publish.
    pub ports: Vec<PortRequest>,
}

impl ConnectRequest {
    /// Any address, any link-layer address, `eth0`, the default route, no ports.
    pub fn new(bridge: &str, container: &str) -> ConnectRequest {
        ConnectRequest {
            bridge: bridge.to_owned(),
            container: container.to_owned(),
            address: None,
            mac: None,
            interface: Some("eth0".to_owned()),
            default_route: true,
            ports: Vec::new(),
        }
    }
}

/// A made connection. The caller stores it with the container; [`crate::Stack::restore`] and
/// [`crate::Stack::disconnect`] need nothing else.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Endpoint {
    /// 64 hexadecimal digits.
    pub id: String,
    /// Name of the container.
    pub container: String,
    /// The bridge.
    pub bridge: String,
    /// Name of the pair's end on the host.
    pub host_interface: String,
    /// Name of the pair's end inside the namespace.
    pub interface: String,
    /// Address inside the namespace.
    pub address: Ipv4Addr,
    /// Bits of the subnet.
    pub prefix_len: u8,
    /// The bridge's address.
    pub gateway: Ipv4Addr,
    /// Link-layer address inside the namespace.
    pub mac: MacAddress,
    /// Published ports, with host ports filled in.
    pub ports: Vec<PortBinding>,
}
