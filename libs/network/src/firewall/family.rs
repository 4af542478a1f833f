//! What differs between the tables of the two families.

use std::net::{IpAddr, Ipv4Addr};

use netlink::nft::{DataType, Table, TableFamily};

use crate::GatewayMode;
use crate::bridge::Standing;

/// IPv4 or IPv6.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Family {
    V4,
    V6,
}

/// The parts of a network that a family's rules are about.
#[derive(Clone, Debug)]
pub(crate) struct Net {
    /// First address of the subnet, and its mask.
    pub network: Vec<u8>,
    pub mask: Vec<u8>,
    /// Address of the bridge itself.
    pub gateway: Vec<u8>,
}

impl Family {
    /// Both of them.
    pub const ALL: [Family; 2] = [Family::V4, Family::V6];

    /// A table of the family.
    pub fn table(self, name: &str) -> Table {
        match self {
            Family::V4 => Table::ip(name),
            Family::V6 => Table::ip6(name),
        }
    }

    /// Its number in the kernel.
    pub fn number(self) -> TableFamily {
        match self {
            Family::V4 => TableFamily::Ip,
            Family::V6 => TableFamily::Ip6,
        }
    }

    /// Whether an address is of the family.
    pub fn has(self, address: IpAddr) -> bool {
        address.is_ipv6() == (self == Family::V6)
    }

    /// Type of an address in sets.
    pub fn address(self) -> DataType {
        match self {
            Family::V4 => DataType::Ipv4,
            Family::V6 => DataType::Ipv6,
        }
    }

    /// Bytes of an address.
    pub fn length(self) -> u32 {
        match self {
            Family::V4 => 4,
            Family::V6 => 16,
        }
    }

    /// Where in a packet's header the source is.
    pub fn source(self) -> u32 {
        match self {
            Family::V4 => 12,
            Family::V6 => 8,
        }
    }

    /// Where in a packet's header the destination is.
    pub fn destination(self) -> u32 {
        self.source() + self.length()
    }

    /// The host's own addresses that never leave it: the first, and the mask.
    pub fn loopback(self) -> (Vec<u8>, Vec<u8>) {
        match self {
            Family::V4 => (vec![127, 0, 0, 0], vec![255, 0, 0, 0]),
            Family::V6 => ([vec![0; 15], vec![1]].concat(), vec![255; 16]),
        }
    }

    /// What a network's bridge is to packets of the family.
    pub fn mode(self, standing: &Standing) -> GatewayMode {
        match self {
            Family::V4 => standing.config.gateway_v4,
            Family::V6 => standing.config.gateway_v6,
        }
    }

    /// The protocol of the family's own messages, such as that nobody is there.
    pub fn icmp(self) -> u8 {
        match self {
            Family::V4 => 1,
            Family::V6 => 58,
        }
    }

    /// What a network has of the family; none where it has nothing, or where no bridge leads to it.
    pub fn of(self, standing: &Standing) -> Option<Net> {
        if standing.config.medium.child().is_some() {
            return None;
        }
        let bytes = |address: IpAddr| match address {
            IpAddr::V4(address) => address.octets().to_vec(),
            IpAddr::V6(address) => address.octets().to_vec(),
        };
        match self {
            Family::V4 => {
                let (subnet, gateway) = (standing.bridge.subnet?, standing.bridge.gateway);
                Some(Net {
                    network: bytes(subnet.network().into()),
                    mask: bytes(subnet.netmask().into()),
                    gateway: bytes(gateway.unwrap_or(Ipv4Addr::UNSPECIFIED).into()),
                })
            }
            Family::V6 => standing.config.v6.as_ref().map(|v6| Net {
                network: bytes(v6.subnet.network().into()),
                mask: bytes(v6.subnet.netmask().into()),
                gateway: bytes(v6.gateway.into()),
            }),
        }
    }

    /// The networks that have something of the family.
    pub fn among(self, all: &[Standing]) -> Vec<Standing> {
        all.iter().filter(|standing| self.of(standing).is_some()).cloned().collect()
    }
}
