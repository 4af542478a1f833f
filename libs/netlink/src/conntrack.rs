//! Connection tracking: forgetting connections.

use std::net::IpAddr;

use crate::request::{Request, flags};
use crate::{Result, Socket};

const SUBSYSTEM: u16 = 1 << 8;
/// `struct nfgenmsg`; without a version the family is ignored.
const fn family(is_v6: bool) -> [u8; 4] {
    [if is_v6 { 10 } else { 2 }, 1, 0, 0]
}
const DELETE: u16 = SUBSYSTEM | 2;
const CTA_TUPLE_ORIG: u16 = 1;
const CTA_TUPLE_REPLY: u16 = 2;
const CTA_FILTER: u16 = 25;
const CTA_FILTER_ORIG_FLAGS: u16 = 1;
const CTA_FILTER_REPLY_FLAGS: u16 = 2;
const CTA_TUPLE_IP: u16 = 1;
const CTA_TUPLE_PROTO: u16 = 2;
const CTA_IP_V4_SRC: u16 = 1;
const CTA_IP_V6_SRC: u16 = 3;
const CTA_PROTO_NUM: u16 = 1;
const CTA_PROTO_DST_PORT: u16 = 3;
/// Bits of `CTA_FILTER_*_FLAGS`: which parts of the tuple count.
const BY_SOURCE: u32 = 1;
const BY_PROTOCOL: u32 = 1 << 3;
const BY_DESTINATION_PORT: u32 = 1 << 5;

/// Forgets every connection that a peer made to `address` (which answers as its source), so that
/// nothing is sent there any more by a translation of the past.
///
/// # Errors
/// The kernel's; one before 5.8 knows no such filter.
pub fn forget_destination(socket: &mut Socket, address: IpAddr) -> Result<()> {
    let mut request = Request::new();
    request
        .message(DELETE, flags::ACK, &family(address.is_ipv6()))
        .nest(CTA_TUPLE_REPLY, |tuple| {
            tuple.nest(CTA_TUPLE_IP, |ip| {
                match address {
                    IpAddr::V4(address) => ip.bytes(CTA_IP_V4_SRC, &address.octets()),
                    IpAddr::V6(address) => ip.bytes(CTA_IP_V6_SRC, &address.octets()),
                };
            });
        })
        .nest(CTA_FILTER, |filter| {
            filter.u32(CTA_FILTER_ORIG_FLAGS, 0).u32(CTA_FILTER_REPLY_FLAGS, BY_SOURCE);
        });
    socket.exchange(&mut request, |_, _| {})
}

/// Forgets every connection of a protocol to a destination port: one that began before the port
/// was published would go on untranslated.
///
/// # Errors
/// The kernel's; one before 5.8 knows no such filter.
pub fn forget_port(socket: &mut Socket, is_v6: bool, protocol: u8, port: u16) -> Result<()> {
    let mut request = Request::new();
    request
        .message(DELETE, flags::ACK, &family(is_v6))
        .nest(CTA_TUPLE_ORIG, |tuple| {
            tuple.nest(CTA_TUPLE_PROTO, |proto| {
                proto.u8(CTA_PROTO_NUM, protocol).bytes(CTA_PROTO_DST_PORT, &port.to_be_bytes());
            });
        })
        .nest(CTA_FILTER, |filter| {
            filter
                .u32(CTA_FILTER_ORIG_FLAGS, BY_PROTOCOL | BY_DESTINATION_PORT)
                .u32(CTA_FILTER_REPLY_FLAGS, 0);
        });
    socket.exchange(&mut request, |_, _| {})
}
