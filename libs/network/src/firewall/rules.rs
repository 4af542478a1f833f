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
//! chain forward          { oifname vmap @to-bridge; iifname vmap @from-bridge }
//! chain to-wherry0       { ct state established,related accept
//!                          iifname wherry0 accept; ct status dnat accept; drop }
//! chain from-wherry0     { accept }
//! chain nat-postrouting  { oifname wherry0 ip saddr 127.0.0.0/8 masquerade
//!                          oifname wherry0 ip saddr 172.18.0.0/16 ct status dnat masquerade
//!                          oifname != wherry0 ip saddr 172.18.0.0/16 masquerade }
//! ```

use std::net::Ipv4Addr;

use ipnet::Ipv4Net;
use netlink::nft::{
    Batch, Chain, ChainKind, DataType, Element, ElementValue, Expression, Hook, Register, Rule, Set, Table,
    Value, Verdict, ct, meta,
};

use super::{PUBLISHED, PUBLISHED_ON};
use crate::bridge::Standing;

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
const LOOPBACK: Ipv4Net = Ipv4Net::new_assert(Ipv4Addr::new(127, 0, 0, 0), 8);
/// Offsets in the IPv4 header.
const SOURCE: u32 = 12;
const DESTINATION: u32 = 16;

/// Appends everything inside the table but the published ports. Sets and chains that are there
/// stay; their rules are exchanged.
pub(super) fn encode(batch: &mut Batch, table: &Table, bridges: &[Standing]) {
    sets(batch, table);
    chains(batch, table, bridges);
    translation(batch, table);
    for standing in bridges {
        bridge(batch, table, standing);
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

fn sets(batch: &mut Batch, table: &Table) {
    let target = || Value::Data(vec![DataType::Ipv4, DataType::Service]);
    for (name, key, value) in [
        (PUBLISHED, vec![DataType::Protocol, DataType::Service], target()),
        (PUBLISHED_ON, vec![DataType::Protocol, DataType::Ipv4, DataType::Service], target()),
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
    let of_bridge =
        |standing: &Standing| BRIDGE_MAPS.map(|(_, prefix)| format!("{prefix}{}", standing.bridge.name));
    for name in [PUBLISH.to_owned()].into_iter().chain(bridges.iter().flat_map(of_bridge)) {
        batch.add_chain(table, &Chain::regular(&name)).flush_chain(table, &name);
    }
}

/// From a host address to a container's, and the way into the bridges' own chains.
fn translation(batch: &mut Batch, table: &Table) {
    let mut add = |chain: &str, parts: Vec<Vec<Expression>>| {
        batch.add_rule(table, &Rule::new(chain, parts.concat()));
    };
    // A neighbour could send a packet for 127.0.0.1; the kernel drops it unless it is translated.
    add(PREROUTING, vec![iif("lo", false), address(DESTINATION, LOOPBACK), verdict(Verdict::Return)]);
    for chain in [PREROUTING, OUTPUT] {
        add(chain, vec![local_destination(), verdict(Verdict::Jump(PUBLISH.to_owned()))]);
    }
    let protocol = Expression::Meta { key: meta::L4PROTO, to: Register::word(0) };
    let host = Expression::Network { offset: DESTINATION, length: 4, to: Register::word(1) };
    let port = |word| Expression::Transport { offset: 2, length: 2, to: Register::word(word) };
    let translate = |map: &str| {
        vec![
            Expression::Mapped { map: map.to_owned(), register: Register::word(0), to: Register::word(0) },
            Expression::DestinationNat { address: Register::word(0), port: Register::word(1) },
        ]
    };
    add(PUBLISH, vec![vec![protocol.clone(), host, port(2)], translate(PUBLISHED_ON)]);
    add(PUBLISH, vec![vec![protocol, port(1)], translate(PUBLISHED)]);
    for (key, map) in [(meta::OIFNAME, TO_BRIDGE), (meta::IIFNAME, FROM_BRIDGE)] {
        let by_name = Expression::VerdictMap { map: map.to_owned(), register: Register::FIRST };
        add(FORWARD, vec![vec![Expression::Meta { key, to: Register::FIRST }, by_name]]);
    }
}

fn bridge(batch: &mut Batch, table: &Table, standing: &Standing) {
    let (name, subnet) = (standing.bridge.name.as_str(), standing.bridge.subnet);
    let config = &standing.config;
    let (to, from) = (format!("to-{name}"), format!("from-{name}"));
    let mut add = |chain: &str, comment: &'static str, parts: Vec<Vec<Expression>>| {
        batch.add_rule(table, &Rule::new(chain, parts.concat()).comment(comment));
    };
    let dnat = || connection(ct::STATUS, ct::DNAT);

    add(
        RAW,
        "loopback of the host is not for containers",
        vec![iif(name, true), address(DESTINATION, LOOPBACK), verdict(Verdict::Drop)],
    );
    let direct = vec![
        iif(name, false),
        not_address(DESTINATION, standing.bridge.gateway),
        address(DESTINATION, subnet),
        verdict(Verdict::Drop),
    ];
    add(RAW, "drop direct access", direct);

    add(
        &to,
        "known connections",
        vec![connection(ct::STATE, ct::ESTABLISHED_RELATED), verdict(Verdict::Accept)],
    );
    if config.icc {
        add(&to, "between containers", vec![iif(name, true), verdict(Verdict::Accept)]);
    }
    if config.internal {
        add(&to, "internal", vec![verdict(Verdict::Drop)]);
        add(&from, "internal", vec![oif(name, false), verdict(Verdict::Drop)]);
        return;
    }
    add(&to, "published ports", vec![dnat(), verdict(Verdict::Accept)]);
    add(&to, "drop unpublished", vec![verdict(Verdict::Drop)]);
    add(&from, "to the outside", vec![verdict(Verdict::Accept)]);

    add(POSTROUTING, "host by loopback", vec![oif(name, true), address(SOURCE, LOOPBACK), masquerade()]);
    add(POSTROUTING, "hairpin", vec![oif(name, true), address(SOURCE, subnet), dnat(), masquerade()]);
    if config.masquerade {
        add(POSTROUTING, "to the outside", vec![oif(name, false), address(SOURCE, subnet), masquerade()]);
    }
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

fn address(offset: u32, net: Ipv4Net) -> Vec<Expression> {
    vec![
        Expression::Network { offset, length: 4, to: Register::FIRST },
        Expression::Mask { register: Register::FIRST, mask: net.netmask().octets().to_vec() },
        Expression::Compare {
            register: Register::FIRST,
            equal: true,
            bytes: net.network().octets().to_vec(),
        },
    ]
}

fn not_address(offset: u32, address: Ipv4Addr) -> Vec<Expression> {
    vec![
        Expression::Network { offset, length: 4, to: Register::FIRST },
        Expression::Compare { register: Register::FIRST, equal: false, bytes: address.octets().to_vec() },
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
