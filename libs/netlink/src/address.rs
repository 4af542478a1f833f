//! Addresses of links: `RTM_NEWADDR` and its relatives.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::parse::{Attribute, Attributes, u32_at};
use crate::request::{Request, flags};
use crate::{Header, Result, Socket};

const RTM_NEWADDR: u16 = 20;
const RTM_DELADDR: u16 = 21;
const RTM_GETADDR: u16 = 22;
const IFA_ADDRESS: u16 = 1;
const IFA_LOCAL: u16 = 2;
const IFA_BROADCAST: u16 = 4;
pub(crate) const AF_INET: u8 = 2;
pub(crate) const AF_INET6: u8 = 10;
/// No duplicate address detection: the address is used at once.
const IFA_F_NODAD: u8 = 0x02;

/// An address of a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Address {
    /// Number of the link.
    pub link: u32,
    /// The address.
    pub address: IpAddr,
    /// Bits of its subnet.
    pub prefix_len: u8,
}

/// The bytes of an address in network order.
pub(crate) fn octets(address: IpAddr) -> Vec<u8> {
    match address {
        IpAddr::V4(address) => address.octets().to_vec(),
        IpAddr::V6(address) => address.octets().to_vec(),
    }
}

/// Reads an address of either family.
pub(crate) fn ip(attribute: Attribute<'_>) -> Option<IpAddr> {
    let bytes = attribute.payload;
    if let Ok(octets) = <[u8; 4]>::try_from(bytes) {
        return Some(Ipv4Addr::from(octets).into());
    }
    <[u8; 16]>::try_from(bytes).ok().map(|octets| Ipv6Addr::from(octets).into())
}

fn header(address: &Address) -> [u8; 8] {
    let (family, flags) = if address.address.is_ipv4() { (AF_INET, 0) } else { (AF_INET6, IFA_F_NODAD) };
    let mut bytes = [family, address.prefix_len, flags, 0, 0, 0, 0, 0];
    bytes[4..].copy_from_slice(&address.link.to_ne_bytes());
    bytes
}

/// Gives a link an address; an IPv4 one with its subnet's broadcast address.
pub fn add_address(request: &mut Request, address: &Address) {
    let mut message =
        request.message(RTM_NEWADDR, flags::ACK | flags::CREATE | flags::EXCL, &header(address));
    let bytes = octets(address.address);
    message.bytes(IFA_LOCAL, &bytes).bytes(IFA_ADDRESS, &bytes);
    if let IpAddr::V4(v4) = address.address
        && address.prefix_len < 31
    {
        let broadcast = u32::from(v4) | u32::MAX.checked_shr(address.prefix_len.into()).unwrap_or(0);
        message.bytes(IFA_BROADCAST, &broadcast.to_be_bytes());
    }
}

/// Takes an address off a link.
pub fn delete_address(request: &mut Request, address: &Address) {
    let bytes = octets(address.address);
    request.message(RTM_DELADDR, flags::ACK, &header(address)).bytes(IFA_LOCAL, &bytes);
}

impl Address {
    /// Reads an answer; `None` when it is not about an address.
    pub fn parse(message: Header<'_>) -> Option<Address> {
        if message.kind != RTM_NEWADDR {
            return None;
        }
        let attributes = || Attributes::after(message.payload, 8);
        // On a point-to-point link ADDRESS is the far end and LOCAL the near one.
        let address = attributes().find(IFA_LOCAL).or_else(|| attributes().find(IFA_ADDRESS))?;
        Some(Address {
            link: u32_at(message.payload, 4)?,
            address: ip(address)?,
            prefix_len: *message.payload.get(1)?,
        })
    }

    /// Every address of the socket's namespace, IPv4 or IPv6.
    pub fn list(socket: &mut Socket, v6: bool) -> Result<Vec<Address>> {
        let mut request = Request::new();
        request.message(
            RTM_GETADDR,
            flags::DUMP,
            &[if v6 { AF_INET6 } else { AF_INET }, 0, 0, 0, 0, 0, 0, 0],
        );
        let mut addresses = Vec::new();
        socket.exchange(&mut request, |_, message| addresses.extend(Address::parse(message)))?;
        Ok(addresses)
    }
}
