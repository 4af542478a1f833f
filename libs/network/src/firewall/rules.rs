//! The table's text: what `nft list table ip wherry-NAME` prints.
//!
//! For a bridge `wherry0` with 172.18.0.0/16:
//!
//! ```text
//! chain raw-prerouting   { iifname wherry0 ip daddr 127.0.0.0/8 drop
//!                          iifname != wherry0 ip daddr != 172.18.0.1 ip daddr 172.18.0.0/16 drop }
//! chain nat-prerouting   { iifname != lo ip daddr 127.0.0.0/8 return
//!                          fib daddr type local jump publish }
//! chain nat-output       { fib daddr type local jump publish }
//! chain publish          { dnat ip to meta l4proto . ip daddr . th dport map @published-on
//!                          dnat ip to meta l4proto . th dport map @published }
//! chain user             { yours: packets meet it before everything below; the daemon never changes it }
//! chain forward          { jump user
//!                          oifname vmap @to-bridge; iifname vmap @from-bridge }
//! chain to-wherry0       { ct state established,related accept
//!                          iifname wherry0 accept; ct status dnat accept; drop }
//! chain from-wherry0     { accept }
//! chain nat-postrouting  { oifname wherry0 ip saddr 127.0.0.0/8 masquerade
//!                          oifname wherry0 ip saddr 172.18.0.0/16 ct status dnat masquerade
//!                          oifname != wherry0 ip saddr 172.18.0.0/16 masquerade }
//! ```
//!
//! In gateway mode `routed` nothing of it is translated nor dropped in raw-prerouting, and instead
//! `to-wherry0` accepts `meta l4proto . ip daddr . th dport vmap @opened` and control messages.

use std::net::Ipv4Addr;

use netlink::Socket;
use netlink::nft::{
    Batch, Chain, ChainKind, DataType, Element, ElementValue, Expression, Hook, Register, Rule, RuleInfo,
    Set, Table, Value, Verdict, ct, meta,
};

use super::{IpFamily, OPENED, PUBLISHED, PUBLISHED_ON};
use crate::bridge::Standing;
use crate::{Direct, Error, GatewayMode, Result};

const RAW: &str = "raw-prerouting";
const PREROUTING: &str = "nat-prerouting";
const OUTPUT: &str = "nat-output";
const POSTROUTING: &str = "nat-postrouting";
const PUBLISH: &str = "publish";
const FORWARD: &str = "forward";
const TO_BRIDGE: &str = "to-bridge";
const FROM_BRIDGE: &str = "from-bridge";
/// The verdict maps by bridge, and the prefix of the chains that they jump to.
pub(super) const BRIDGE_MAPS: [(&str, &str); 2] = [(TO_BRIDGE, "to-"), (FROM_BRIDGE, "from-")];
/// The administrator's own rules about forwarded packets, asked before all others; never changed.
const USER: &str = "user";

/// Appends everything inside the table but the published ports. Sets and chains that are there
/// stay; their rules are exchanged.
pub(super) fn encode(batch: &mut Batch, family: IpFamily, table: &Table, bridges: &[Standing]) {
    sets(batch, family, table);
    chains(batch, table, bridges);
    translation(batch, family, table);
    for standing in bridges {
        bridge(batch, family, table, standing);
    }
    for (map, prefix) in BRIDGE_MAPS {
        let jump = |standing: &Standing| {
            let name = &standing.bridge.name;
            Element {
                key: Element::link_name(name),
                value: ElementValue::Verdict(Verdict::Jump(format!("{prefix}{name}"))),
            }
        };
        batch.add_elements(table, map, &bridges.iter().map(jump).collect::<Vec<_>>());
    }
}

/// Whether the table stands with its rules.
pub(super) fn are_there(socket: &mut Socket, table: &Table) -> Result<bool> {
    let failed = || Error::netlink("list", "nftables rules");
    if !Table::list(socket, table.family).map_err(failed())?.contains(&table.name) {
        return Ok(false);
    }
    Ok(!RuleInfo::list(socket, table, FORWARD).map_err(failed())?.is_empty())
}

fn sets(batch: &mut Batch, family: IpFamily, table: &Table) {
    let target = || Value::Data(vec![family.address(), DataType::Service]);
    for (name, key, value) in [
        (PUBLISHED, vec![DataType::Protocol, DataType::Service], target()),
        (PUBLISHED_ON, vec![DataType::Protocol, family.address(), DataType::Service], target()),
        (OPENED, vec![DataType::Protocol, family.address(), DataType::Service], Value::Verdict),
        (TO_BRIDGE, vec![DataType::LinkName], Value::Verdict),
        (FROM_BRIDGE, vec![DataType::LinkName], Value::Verdict),
    ] {
        batch.add_set(table, &Set { name: name.to_owned(), key, value });
    }
}

fn chains(batch: &mut Batch, table: &Table, bridges: &[Standing]) {
    for (name, kind, hook, priority) in [
        (RAW, ChainKind::Filter, Hook::Prerouting, -300),
        (PREROUTING, ChainKind::Nat, Hook::Prerouting, -100),
        (OUTPUT, ChainKind::Nat, Hook::Output, -100),
        (FORWARD, ChainKind::Filter, Hook::Forward, 0),
        (POSTROUTING, ChainKind::Nat, Hook::Postrouting, 100),
    ] {
        batch.add_chain(table, &Chain::base(name, kind, hook, priority)).flush_chain(table, name);
    }
    batch.add_chain(table, &Chain::regular(USER));
    let of_bridge =
        |standing: &Standing| BRIDGE_MAPS.map(|(_, prefix)| format!("{prefix}{}", standing.bridge.name));
    for name in [PUBLISH.to_owned()].into_iter().chain(bridges.iter().flat_map(of_bridge)) {
        batch.add_chain(table, &Chain::regular(&name)).flush_chain(table, &name);
    }
}

/// From a host address to a container's, and the way into the bridges' own chains.
fn translation(batch: &mut Batch, family: IpFamily, table: &Table) {
    let mut add = |chain: &str, parts: Vec<Vec<Expression>>| {
        batch.add_rule(table, &Rule::new(chain, parts.concat()));
    };
    let (first, mask) = family.loopback();
    // A neighbour could send a packet for 127.0.0.1; the kernel drops it unless it is translated.
    let to_loopback = within(family, family.destination(), &first, &mask);
    add(PREROUTING, vec![iif("lo", false), to_loopback.clone(), verdict(Verdict::Return)]);
    if family == IpFamily::V6 {
        // The kernel lets no packet with ::1 leave the host: whoever asks there hears at once that
        // nobody listens, and goes on to 127.0.0.1.
        add(OUTPUT, vec![to_loopback, verdict(Verdict::Return)]);
    }
    for chain in [PREROUTING, OUTPUT] {
        add(chain, vec![local_destination(), verdict(Verdict::Jump(PUBLISH.to_owned()))]);
    }
    // An address takes one word or four.
    let words = family.length() / 4;
    let protocol = Expression::Meta { key: meta::L4PROTO, to: Register::word(0) };
    let host =
        Expression::Network { offset: family.destination(), length: family.length(), to: Register::word(1) };
    let port = |word| Expression::Transport { offset: 2, length: 2, to: Register::word(word) };
    let translate = |map: &str| {
        vec![
            Expression::Mapped { map: map.to_owned(), register: Register::word(0), to: Register::word(0) },
            Expression::DestinationNat {
                family: family.number(),
                address: Register::word(0),
                port: Register::word(words),
            },
        ]
    };
    add(PUBLISH, vec![vec![protocol.clone(), host, port(1 + words)], translate(PUBLISHED_ON)]);
    add(PUBLISH, vec![vec![protocol, port(1)], translate(PUBLISHED)]);
    add(FORWARD, vec![verdict(Verdict::Jump(USER.to_owned()))]);
    for (key, map) in [(meta::OIFNAME, TO_BRIDGE), (meta::IIFNAME, FROM_BRIDGE)] {
        let by_name = Expression::VerdictMap { map: map.to_owned(), register: Register::FIRST };
        add(FORWARD, vec![vec![Expression::Meta { key, to: Register::FIRST }, by_name]]);
    }
}

fn bridge(batch: &mut Batch, family: IpFamily, table: &Table, standing: &Standing) {
    let Some(net) = family.of(standing) else { return };
    let (name, config) = (standing.bridge.name.as_str(), &standing.config);
    let (to, from) = (format!("to-{name}"), format!("from-{name}"));
    let (loopback, loopback_mask) = family.loopback();
    let at_loopback = |offset| within(family, offset, &loopback, &loopback_mask);
    let at_subnet = |offset| within(family, offset, &net.network, &net.mask);
    let (source, destination) = (family.source(), family.destination());
    let mut add = |chain: &str, comment: &'static str, parts: Vec<Vec<Expression>>| {
        batch.add_rule(table, &Rule::new(chain, parts.concat()).comment(comment));
    };
    let dnat = || connection(ct::STATUS, ct::DNAT);

    add(
        RAW,
        "loopback of the host is not for containers",
        vec![iif(name, true), at_loopback(destination), verdict(Verdict::Drop)],
    );
    let marked = config.accept_mark.map(|(bits, mask)| mark(bits, mask));
    let (direct, is_routed) = match family.mode(standing) {
        GatewayMode::NatUnprotected => (Direct::Everything, false),
        GatewayMode::Routed => (Direct::Published, true),
        GatewayMode::Nat | GatewayMode::Isolated => (config.direct, false),
    };
    if direct == Direct::Nobody || config.internal {
        if let Some(marked) = &marked {
            add(RAW, "marked", vec![marked.clone(), at_subnet(destination), verdict(Verdict::Accept)]);
        }
        let not_gateway = is_not(family, destination, &net.gateway);
        let direct = vec![iif(name, false), not_gateway, at_subnet(destination), verdict(Verdict::Drop)];
        add(RAW, "drop direct access", direct);
    }

    add(
        &to,
        "known connections",
        vec![connection(ct::STATE, ct::ESTABLISHED_RELATED), verdict(Verdict::Accept)],
    );
    if let Some(marked) = marked {
        add(&to, "marked", vec![marked, verdict(Verdict::Accept)]);
    }
    if config.icc {
        add(&to, "between containers", vec![iif(name, true), verdict(Verdict::Accept)]);
    }
    if config.internal {
        add(&to, "internal", vec![verdict(Verdict::Drop)]);
        add(&from, "internal", vec![oif(name, false), verdict(Verdict::Drop)]);
        return;
    }
    add(&to, "published ports", vec![dnat(), verdict(Verdict::Accept)]);
    if is_routed {
        add(&to, "open ports", vec![opened(family)]);
        add(&to, "control messages", vec![protocol(family.icmp()), verdict(Verdict::Accept)]);
    }
    match direct {
        Direct::Everything => {
            // From elsewhere, but not from a neighbour that icc=false keeps apart.
            add(&to, "every port", vec![iif(name, false), verdict(Verdict::Accept)]);
            add(&to, "drop neighbours", vec![verdict(Verdict::Drop)]);
        }
        Direct::Nobody | Direct::Published => add(&to, "drop unpublished", vec![verdict(Verdict::Drop)]),
    }
    add(&from, "to the outside", vec![verdict(Verdict::Accept)]);

    if is_routed {
        return;
    }
    add(POSTROUTING, "host by loopback", vec![oif(name, true), at_loopback(source), masquerade()]);
    add(POSTROUTING, "hairpin", vec![oif(name, true), at_subnet(source), dnat(), masquerade()]);
    if config.masquerade {
        let leaving = match config.source_v4.filter(|_| family == IpFamily::V4) {
            Some(address) => source_nat(family, address),
            None => masquerade(),
        };
        add(POSTROUTING, "to the outside", vec![oif(name, false), at_subnet(source), leaving]);
    }
}

/// The verdict on the packet's protocol, destination and port.
fn opened(family: IpFamily) -> Vec<Expression> {
    let words = family.length() / 4;
    vec![
        Expression::Meta { key: meta::L4PROTO, to: Register::word(0) },
        Expression::Network { offset: family.destination(), length: family.length(), to: Register::word(1) },
        Expression::Transport { offset: 2, length: 2, to: Register::word(1 + words) },
        Expression::VerdictMap { map: OPENED.to_owned(), register: Register::word(0) },
    ]
}

fn protocol(number: u8) -> Vec<Expression> {
    vec![
        Expression::Meta { key: meta::L4PROTO, to: Register::FIRST },
        Expression::Compare { register: Register::FIRST, equal: true, bytes: vec![number] },
    ]
}

/// Whether the packet's mark has these bits, of those that the mask names.
fn mark(bits: u32, mask: u32) -> Vec<Expression> {
    vec![
        Expression::Meta { key: meta::MARK, to: Register::FIRST },
        Expression::Mask { register: Register::FIRST, mask: mask.to_ne_bytes().to_vec() },
        Expression::Compare {
            register: Register::FIRST,
            equal: true,
            bytes: (bits & mask).to_ne_bytes().to_vec(),
        },
    ]
}

fn link(key: u32, name: &str, equal: bool) -> Vec<Expression> {
    vec![
        Expression::Meta { key, to: Register::FIRST },
        Expression::Compare { register: Register::FIRST, equal, bytes: Element::link_name(name) },
    ]
}

pub(super) fn iif(name: &str, equal: bool) -> Vec<Expression> {
    link(meta::IIFNAME, name, equal)
}

pub(super) fn oif(name: &str, equal: bool) -> Vec<Expression> {
    link(meta::OIFNAME, name, equal)
}

pub(super) fn verdict(verdict: Verdict) -> Vec<Expression> {
    vec![Expression::Do(verdict)]
}

fn masquerade() -> Vec<Expression> {
    vec![Expression::Masquerade]
}

fn source_nat(family: IpFamily, address: Ipv4Addr) -> Vec<Expression> {
    vec![
        Expression::Load { to: Register::FIRST, bytes: address.octets().to_vec() },
        Expression::SourceNat { family: family.number(), address: Register::FIRST },
    ]
}

/// Whether an address of the packet's is in a subnet.
fn within(family: IpFamily, offset: u32, network: &[u8], mask: &[u8]) -> Vec<Expression> {
    vec![
        Expression::Network { offset, length: family.length(), to: Register::FIRST },
        Expression::Mask { register: Register::FIRST, mask: mask.to_vec() },
        Expression::Compare { register: Register::FIRST, equal: true, bytes: network.to_vec() },
    ]
}

fn is_not(family: IpFamily, offset: u32, address: &[u8]) -> Vec<Expression> {
    vec![
        Expression::Network { offset, length: family.length(), to: Register::FIRST },
        Expression::Compare { register: Register::FIRST, equal: false, bytes: address.to_vec() },
    ]
}

fn local_destination() -> Vec<Expression> {
    const RTN_LOCAL: u32 = 2;
    vec![
        Expression::DestinationType { to: Register::FIRST },
        Expression::Compare {
            register: Register::FIRST,
            equal: true,
            bytes: RTN_LOCAL.to_ne_bytes().to_vec(),
        },
    ]
}

/// Whether a connection has one of these bits.
fn connection(key: u32, bits: u32) -> Vec<Expression> {
    vec![
        Expression::Ct { key, to: Register::FIRST },
        Expression::Mask { register: Register::FIRST, mask: bits.to_ne_bytes().to_vec() },
        Expression::Compare { register: Register::FIRST, equal: false, bytes: vec![0; 4] },
    ]
}
