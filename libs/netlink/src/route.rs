//! Routes: `RTM_NEWROUTE` and its relatives.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::address::{AF_INET, AF_INET6, ip, octets};
use crate::parse::Attributes;
use crate::request::{Request, flags};
use crate::{Header, Result, Socket};

const RTM_NEWROUTE: u16 = 24;
const RTM_GETROUTE: u16 = 26;
const RTA_DST: u16 = 1;
const RTA_OIF: u16 = 4;
const RTA_GATEWAY: u16 = 5;
const RT_TABLE_MAIN: u8 = 254;
const RTPROT_STATIC: u8 = 4;
const RT_SCOPE_UNIVERSE: u8 = 0;
const RTN_UNICAST: u8 = 1;

/// A route of the main table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Route {
    /// Where to; the unspecified address with length 0 is the default route.
    pub destination: IpAddr,
    /// Bits of the destination that count.
    pub prefix_len: u8,
    /// By which router; `None` is on the link itself.
    pub gateway: Option<IpAddr>,
    /// Number of the link.
    pub link: Option<u32>,
}

/// Adds a default route by `gateway` on the link of that number.
pub fn add_default_route(request: &mut Request, gateway: IpAddr, link: u32) {
    let family = if gateway.is_ipv4() { AF_INET } else { AF_INET6 };
    let header = [family, 0, 0, 0, RT_TABLE_MAIN, RTPROT_STATIC, RT_SCOPE_UNIVERSE, RTN_UNICAST, 0, 0, 0, 0];
    request
        .message(RTM_NEWROUTE, flags::ACK | flags::CREATE | flags::EXCL, &header)
        .bytes(RTA_GATEWAY, &octets(gateway))
        .u32(RTA_OIF, link);
}

/// Adds a default route that needs no router: everything is on the link.
pub fn add_link_default_route(request: &mut Request, is_v6: bool, link: u32) {
    const RT_SCOPE_LINK: u8 = 253;
    let family = if is_v6 { AF_INET6 } else { AF_INET };
    let header = [family, 0, 0, 0, RT_TABLE_MAIN, RTPROT_STATIC, RT_SCOPE_LINK, RTN_UNICAST, 0, 0, 0, 0];
    request.message(RTM_NEWROUTE, flags::ACK | flags::CREATE | flags::EXCL, &header).u32(RTA_OIF, link);
}

/// Removes a default route on the link of that number.
pub fn delete_default_route(request: &mut Request, is_v6: bool, link: u32) {
    const RTM_DELROUTE: u16 = 25;
    const RT_SCOPE_NOWHERE: u8 = 255;
    let family = if is_v6 { AF_INET6 } else { AF_INET };
    let scope = if is_v6 { RT_SCOPE_UNIVERSE } else { RT_SCOPE_NOWHERE };
    let header = [family, 0, 0, 0, RT_TABLE_MAIN, 0, scope, 0, 0, 0, 0, 0];
    request.message(RTM_DELROUTE, flags::ACK, &header).u32(RTA_OIF, link);
}

impl Route {
    /// Reads an answer; `None` when it is no unicast route of the main table.
    pub fn parse(message: Header<'_>) -> Option<Route> {
        let [family, prefix_len, _, _, table, _, _, kind, ..] = *message.payload else { return None };
        if message.kind != RTM_NEWROUTE || table != RT_TABLE_MAIN || kind != RTN_UNICAST {
            return None;
        }
        let unspecified = match family {
            AF_INET => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
            AF_INET6 => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
            _ => return None,
        };
        let mut route = Route { destination: unspecified, prefix_len, gateway: None, link: None };
        for attribute in Attributes::after(message.payload, 12) {
            match attribute.kind {
                RTA_DST => route.destination = ip(attribute)?,
                RTA_GATEWAY => route.gateway = ip(attribute),
                RTA_OIF => route.link = attribute.u32(),
                _ => {}
            }
        }
        Some(route)
    }

    /// Every unicast route of the main table, IPv4 or IPv6.
    pub fn list(socket: &mut Socket, v6: bool) -> Result<Vec<Route>> {
        let mut request = Request::new();
        request.message(
            RTM_GETROUTE,
            flags::DUMP,
            &[if v6 { AF_INET6 } else { AF_INET }, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
        );
        let mut routes = Vec::new();
        socket.exchange(&mut request, |_, message| routes.extend(Route::parse(message)))?;
        Ok(routes)
    }
}
