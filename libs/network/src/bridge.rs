//! A bridge: the link that the containers of one network share with the host.

use std::net::Ipv4Addr;

use ipnet::Ipv4Net;
use serde::{Deserialize, Serialize};

use crate::MacAddress;

/// Name of the default network's bridge.
pub const DEFAULT_BRIDGE: &str = "wherry0";
/// Bytes of the largest packet on a bridge unless the caller says otherwise.
pub const DEFAULT_MTU: u32 = 1500;

/// What the caller wants of a bridge.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BridgeConfig {
    /// Link name, at most 15 bytes: dockerd's `--bridge`, or `br-` and 12 hex digits.
    pub name: String,
    /// Subnet; `None` keeps the one that the bridge has or picks one that nothing on the host
    /// overlaps with.
    pub subnet: Option<Ipv4Net>,
    /// Address of the bridge itself in `subnet`; `None` is the first usable one.
    pub gateway: Option<Ipv4Addr>,
    /// Part of the subnet that addresses are handed out from (dockerd's `--fixed-cidr`).
    pub range: Option<Ipv4Net>,
    /// Bytes of the largest packet.
    pub mtu: u32,
    /// Whether containers on the bridge may talk to each other (dockerd's `--icc`).
    pub icc: bool,
    /// No gateway, no masquerade, no published ports: the bridge is an island.
    pub internal: bool,
    /// Whether packets that leave the host carry the host's address (dockerd's `--ip-masq`).
    pub masquerade: bool,
}

impl BridgeConfig {
    /// A bridge with Docker's defaults.
    pub fn new(name: &str) -> BridgeConfig {
        BridgeConfig {
            name: name.to_owned(),
            subnet: None,
            gateway: None,
            range: None,
            mtu: DEFAULT_MTU,
            icc: true,
            internal: false,
            masquerade: true,
        }
    }

    /// The same from dockerd's `--bip`: the bridge's own address with its prefix length.
    pub fn with_bip(mut self, bip: Ipv4Net) -> BridgeConfig {
        self.subnet = Some(bip.trunc());
        self.gateway = Some(bip.addr());
        self
    }
}

/// A bridge as it stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bridge {
    /// Link name.
    pub name: String,
    /// Its subnet, host bits zero.
    pub subnet: Ipv4Net,
    /// The bridge's own address, the containers' default gateway.
    pub gateway: Ipv4Addr,
    /// Bytes of the largest packet.
    pub mtu: u32,
    /// Its link-layer address.
    pub mac: MacAddress,
}
