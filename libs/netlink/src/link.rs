//! Links: rtnetlink(7), `RTM_NEWLINK` and its relatives.

use std::os::fd::{AsRawFd, BorrowedFd};

use crate::parse::{Attributes, u32_at};
use crate::request::{Message, Request, flags};
use crate::{Header, Result, Socket};

const RTM_NEWLINK: u16 = 16;
const RTM_DELLINK: u16 = 17;
const RTM_GETLINK: u16 = 18;
const IFLA_ADDRESS: u16 = 1;
const IFLA_IFNAME: u16 = 3;
const IFLA_MTU: u16 = 4;
const IFLA_LINK: u16 = 5;
const IFLA_MASTER: u16 = 10;
const IFLA_LINKINFO: u16 = 18;
const IFLA_NET_NS_FD: u16 = 28;
const IFLA_IFALIAS: u16 = 20;
const IFLA_EXT_MASK: u16 = 29;
const RTEXT_FILTER_SKIP_STATS: u32 = 1 << 3;
const IFLA_INFO_KIND: u16 = 1;
const IFLA_INFO_DATA: u16 = 2;
const IFLA_INFO_SLAVE_KIND: u16 = 4;
const IFLA_INFO_SLAVE_DATA: u16 = 5;
const VETH_INFO_PEER: u16 = 1;
const IFLA_BRPORT_STATE: u16 = 1;
const IFLA_BRPORT_MODE: u16 = 4;
const IFLA_BRPORT_FLUSH: u16 = 24;
const IFLA_BRPORT_ISOLATED: u16 = 33;
/// Of macvlan, ipvlan and vlan: the mode, or the number.
const IFLA_CHILD_MODE: u16 = 1;
const IFLA_IPVLAN_FLAGS: u16 = 2;
const IFF_UP: u32 = 1;

/// A link as the kernel describes it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Link {
    /// Its number in its namespace.
    pub index: u32,
    /// Its name.
    pub name: String,
    /// Driver as in `bridge` or `veth`; none for hardware and `lo`.
    pub kind: Option<String>,
    /// Free text that somebody attached to it.
    pub alias: Option<String>,
    /// Link-layer address.
    pub mac: Option<[u8; 6]>,
    /// Bytes of the largest packet.
    pub mtu: u32,
    /// Number of the bridge that it is a port of.
    pub master: Option<u32>,
    /// Whether it is administratively up.
    pub up: bool,
}

/// Which link a request is about.
#[derive(Clone, Copy, Debug)]
pub enum Target<'a> {
    /// By number.
    Index(u32),
    /// By name.
    Name(&'a str),
}

/// Settings of a port of a bridge, for the links of containers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BridgePort {
    /// A packet may leave through the port that it came from.
    pub hairpin: bool,
    /// No packet goes to another isolated port.
    pub isolated: bool,
}

/// What to change about a link.
#[derive(Clone, Copy, Debug, Default)]
pub struct Change<'a> {
    /// Free text to know it by, at most 255 bytes.
    pub alias: Option<&'a str>,
    /// Administrative state.
    pub up: Option<bool>,
    /// Link-layer address.
    pub mac: Option<[u8; 6]>,
    /// Bytes of the largest packet.
    pub mtu: Option<u32>,
    /// Number of the bridge to join.
    pub master: Option<u32>,
    /// Settings as a bridge's port, which it already is.
    pub port: Option<BridgePort>,
    /// Of a bridge's port: it takes and gives no packet any more, and the bridge forgets whom it
    /// met there.
    pub silenced: bool,
}

/// A pair of connected links, one of which begins its life in another namespace.
#[derive(Clone, Copy, Debug)]
pub struct VethPair<'a> {
    /// Name on this side, which comes up as a port of `master`.
    pub host: &'a str,
    /// Number of the bridge.
    pub master: u32,
    /// Bytes of the largest packet, on both sides.
    pub mtu: u32,
    /// Name on the far side, which is left down.
    pub peer: &'a str,
    /// Link-layer address of the far side.
    pub peer_mac: [u8; 6],
    /// The far side's namespace.
    pub peer_netns: BorrowedFd<'a>,
}

/// How a link shares its parent's wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChildKind {
    /// With a link-layer address of its own; the mode is a `MACVLAN_MODE_*`.
    Macvlan(u32),
    /// With the parent's; mode (`IPVLAN_MODE_*`) and flags (`IPVLAN_F_*`).
    Ipvlan(u16, u16),
}

/// A link on top of another, which begins its life in another namespace, down.
#[derive(Clone, Copy, Debug)]
pub struct Child<'a> {
    /// Its name there.
    pub name: &'a str,
    /// Number of the link below.
    pub parent: u32,
    /// What it is.
    pub kind: ChildKind,
    /// Link-layer address; none is the parent's, or the kernel's choice.
    pub mac: Option<[u8; 6]>,
    /// Bytes of the largest packet.
    pub mtu: Option<u32>,
    /// Its namespace.
    pub netns: BorrowedFd<'a>,
}

/// Makes a link on top of another.
pub fn add_child(request: &mut Request, child: &Child<'_>) {
    let mut message = request.message(
        RTM_NEWLINK,
        flags::ACK | flags::CREATE | flags::EXCL,
        &header(Target::Index(0), 0, 0),
    );
    message.string(IFLA_IFNAME, child.name).u32(IFLA_LINK, child.parent);
    if let Some(mac) = &child.mac {
        message.bytes(IFLA_ADDRESS, mac);
    }
    if let Some(mtu) = child.mtu {
        message.u32(IFLA_MTU, mtu);
    }
    message.u32(IFLA_NET_NS_FD, child.netns.as_raw_fd() as u32).nest(IFLA_LINKINFO, |info| {
        match child.kind {
            ChildKind::Macvlan(mode) => {
                info.string(IFLA_INFO_KIND, "macvlan").nest(IFLA_INFO_DATA, |data| {
                    data.u32(IFLA_CHILD_MODE, mode);
                });
            }
            ChildKind::Ipvlan(mode, flags) => {
                info.string(IFLA_INFO_KIND, "ipvlan").nest(IFLA_INFO_DATA, |data| {
                    data.u16(IFLA_CHILD_MODE, mode).u16(IFLA_IPVLAN_FLAGS, flags);
                });
            }
        }
    });
}

/// Makes a link that leads nowhere (`None`), or one of a VLAN on a parent (its link's number and
/// the VLAN's), up.
pub fn add_parent(request: &mut Request, link: &str, vlan: Option<(u32, u16)>) {
    let mut message = request.message(
        RTM_NEWLINK,
        flags::ACK | flags::CREATE | flags::EXCL,
        &header(Target::Index(0), IFF_UP, IFF_UP),
    );
    message.string(IFLA_IFNAME, link);
    if let Some((parent, _)) = vlan {
        message.u32(IFLA_LINK, parent);
    }
    message.nest(IFLA_LINKINFO, |info| match vlan {
        None => {
            info.string(IFLA_INFO_KIND, "dummy");
        }
        Some((_, number)) => {
            info.string(IFLA_INFO_KIND, "vlan").nest(IFLA_INFO_DATA, |data| {
                data.u16(IFLA_CHILD_MODE, number);
            });
        }
    });
}

/// Makes a pair of links of which both ends are here and up, so that either leads nowhere but has
/// a carrier.
pub fn add_loose_pair(request: &mut Request, link: &str, peer: &str) {
    request
        .message(
            RTM_NEWLINK,
            flags::ACK | flags::CREATE | flags::EXCL,
            &header(Target::Index(0), IFF_UP, IFF_UP),
        )
        .string(IFLA_IFNAME, link)
        .nest(IFLA_LINKINFO, |info| {
            info.string(IFLA_INFO_KIND, "veth").nest(IFLA_INFO_DATA, |data| {
                data.nest(VETH_INFO_PEER, |end| {
                    end.raw(&header(Target::Index(0), 0, 0)).string(IFLA_IFNAME, peer);
                });
            });
        });
    // The far end cannot come up before the near one is there.
    change_link(request, Target::Name(peer), Change { up: Some(true), ..Change::default() });
}

fn header(target: Target<'_>, flags: u32, change: u32) -> [u8; 16] {
    let index = if let Target::Index(index) = target { index } else { 0 };
    let mut bytes = [0; 16];
    bytes[4..8].copy_from_slice(&index.to_ne_bytes());
    bytes[8..12].copy_from_slice(&flags.to_ne_bytes());
    bytes[12..16].copy_from_slice(&change.to_ne_bytes());
    bytes
}

fn name(message: &mut Message<'_>, target: Target<'_>) {
    if let Target::Name(name) = target {
        message.string(IFLA_IFNAME, name);
    }
}

/// Makes a bridge with a fixed address (else it changes with its ports), down.
pub fn add_bridge(request: &mut Request, bridge: &str, mac: [u8; 6], mtu: u32) {
    request
        .message(RTM_NEWLINK, flags::ACK | flags::CREATE | flags::EXCL, &header(Target::Index(0), 0, 0))
        .string(IFLA_IFNAME, bridge)
        .bytes(IFLA_ADDRESS, &mac)
        .u32(IFLA_MTU, mtu)
        .nest(IFLA_LINKINFO, |info| {
            info.string(IFLA_INFO_KIND, "bridge");
        });
}

/// Makes a veth pair, both ends in their final places under their final names.
pub fn add_veth_pair(request: &mut Request, pair: &VethPair<'_>) {
    request
        .message(
            RTM_NEWLINK,
            flags::ACK | flags::CREATE | flags::EXCL,
            &header(Target::Index(0), IFF_UP, IFF_UP),
        )
        .string(IFLA_IFNAME, pair.host)
        .u32(IFLA_MTU, pair.mtu)
        .u32(IFLA_MASTER, pair.master)
        .nest(IFLA_LINKINFO, |info| {
            info.string(IFLA_INFO_KIND, "veth").nest(IFLA_INFO_DATA, |data| {
                data.nest(VETH_INFO_PEER, |peer| {
                    peer.raw(&header(Target::Index(0), 0, 0))
                        .string(IFLA_IFNAME, pair.peer)
                        .bytes(IFLA_ADDRESS, &pair.peer_mac)
                        .u32(IFLA_MTU, pair.mtu)
                        .u32(IFLA_NET_NS_FD, pair.peer_netns.as_raw_fd() as u32);
                });
            });
        });
}

/// Changes a link that exists.
pub fn change_link(request: &mut Request, target: Target<'_>, change: Change<'_>) {
    let (up, mask) = match change.up {
        Some(up) => (if up { IFF_UP } else { 0 }, IFF_UP),
        None => (0, 0),
    };
    let mut message = request.message(RTM_NEWLINK, flags::ACK, &header(target, up, mask));
    name(&mut message, target);
    if let Some(alias) = change.alias {
        message.bytes(IFLA_IFALIAS, alias.as_bytes());
    }
    if let Some(mac) = change.mac {
        message.bytes(IFLA_ADDRESS, &mac);
    }
    if let Some(mtu) = change.mtu {
        message.u32(IFLA_MTU, mtu);
    }
    if let Some(master) = change.master {
        message.u32(IFLA_MASTER, master);
    }
    if change.silenced {
        message.nest(IFLA_LINKINFO, |info| {
            info.string(IFLA_INFO_SLAVE_KIND, "bridge").nest(IFLA_INFO_SLAVE_DATA, |data| {
                data.u8(IFLA_BRPORT_STATE, LISTENING).bytes(IFLA_BRPORT_FLUSH, &[]);
            });
        });
    }
    if let Some(port) = change.port {
        message.nest(IFLA_LINKINFO, |info| {
            info.string(IFLA_INFO_SLAVE_KIND, "bridge").nest(IFLA_INFO_SLAVE_DATA, |data| {
                data.u8(IFLA_BRPORT_MODE, port.hairpin.into()).u8(IFLA_BRPORT_ISOLATED, port.isolated.into());
            });
        });
    }
}

/// A port's state in which it neither learns nor forwards (`BR_STATE_LISTENING`). Without a spanning
/// tree it lasts; of the two others like it, the kernel leaves one at the link's next event and one
/// at once.
const LISTENING: u8 = 1;

/// Deletes a link; of a pair, the other end goes too.
pub fn delete_link(request: &mut Request, target: Target<'_>) {
    let mut message = request.message(RTM_DELLINK, flags::ACK, &header(target, 0, 0));
    name(&mut message, target);
}

impl Link {
    /// Appends the question for one link; its answer is read with [`Link::parse`].
    pub fn ask(request: &mut Request, target: Target<'_>) {
        let mut message = request.message(RTM_GETLINK, flags::ACK, &header(target, 0, 0));
        message.u32(IFLA_EXT_MASK, RTEXT_FILTER_SKIP_STATS);
        name(&mut message, target);
    }

    /// Reads an answer; `None` when it is not about a link.
    pub fn parse(message: Header<'_>) -> Option<Link> {
        if message.kind != RTM_NEWLINK {
            return None;
        }
        let mut link = Link {
            index: u32_at(message.payload, 4)?,
            up: u32_at(message.payload, 8)? & IFF_UP != 0,
            ..Link::default()
        };
        for attribute in Attributes::after(message.payload, 16) {
            match attribute.kind {
                IFLA_IFNAME => link.name = attribute.string()?.to_owned(),
                IFLA_IFALIAS => link.alias = attribute.string().map(str::to_owned),
                IFLA_ADDRESS => link.mac = attribute.payload.try_into().ok(),
                IFLA_MTU => link.mtu = attribute.u32()?,
                IFLA_MASTER => link.master = attribute.u32(),
                IFLA_LINKINFO => {
                    link.kind = attribute
                        .nested()
                        .find(IFLA_INFO_KIND)
                        .and_then(|kind| kind.string())
                        .map(str::to_owned)
                }
                _ => {}
            }
        }
        Some(link)
    }

    /// Looks one link up.
    ///
    /// # Errors
    /// `ENODEV` when there is none.
    pub fn get(socket: &mut Socket, target: Target<'_>) -> Result<Link> {
        let mut request = Request::new();
        Link::ask(&mut request, target);
        let mut found = None;
        socket.exchange(&mut request, |_, message| found = found.take().or(Link::parse(message)))?;
        found.ok_or(crate::Error::NoAnswer)
    }

    /// Every link of the socket's namespace.
    pub fn list(socket: &mut Socket) -> Result<Vec<Link>> {
        let mut request = Request::new();
        request
            .message(RTM_GETLINK, flags::DUMP, &header(Target::Index(0), 0, 0))
            .u32(IFLA_EXT_MASK, RTEXT_FILTER_SKIP_STATS);
        let mut links = Vec::new();
        socket.exchange(&mut request, |_, message| links.extend(Link::parse(message)))?;
        Ok(links)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::nft::{Chain, RuleInfo};
    use crate::{Address, Route};

    proptest! {
        #[test]
        fn no_answer_panics(kind in prop::sample::select(vec![RTM_NEWLINK, 20, 24, 0x0a03, 0x0a06]), payload in prop::collection::vec(any::<u8>(), 0..200)) {
            let message = Header { kind, flags: 0, sequence: 0, payload: &payload };
            let _ = (Link::parse(message), Address::parse(message), Route::parse(message), Chain::parse(message), RuleInfo::parse(message));
            let _ = crate::error::acknowledgement(0x200, &payload);
            let _ = crate::error::acknowledgement(0x300, &payload);
        }

        #[test]
        fn a_link_is_read_as_it_was_written(index in 1u32.., name in "[a-z]{1,15}", mtu in 68u32..65536, mac in any::<[u8; 6]>(), master in proptest::option::of(1u32..)) {
            let mut request = Request::new();
            change_link(&mut request, Target::Index(index), Change { up: Some(true), mac: Some(mac), mtu: Some(mtu), master, ..Change::default() });
            let mut with_name = Request::new();
            with_name.message(RTM_NEWLINK, 0, &header(Target::Index(index), IFF_UP, IFF_UP)).string(IFLA_IFNAME, &name).raw(&request.buffer[32..]);
            let message = crate::Messages::new(with_name.bytes().unwrap()).next().unwrap().unwrap();
            let read = Link::parse(message).unwrap();
            prop_assert_eq!(read, Link { index, name, mtu, mac: Some(mac), master, up: true, kind: None, alias: None });
        }
    }
}
