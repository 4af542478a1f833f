//! The way of a namespace's name queries to its daemon.
//!
//! Containers ask 127.0.0.11:53. The daemon's sockets are in the same namespace on other ports,
//! so that a container may have a name server of its own; the firewall there leads to them:
//!
//! ```text
//! table ip wherry-dns {
//!     chain output { type nat hook output priority -100
//!                    ip daddr 127.0.0.11 th dport 53 dnat ip to meta l4proto map @resolver }
//! }
//! ```

use std::net::{Ipv4Addr, SocketAddr, TcpListener, UdpSocket};

use netlink::nft::{
    Batch, Chain, ChainKind, DataType, Element, ElementValue, Expression, Hook, Register, Rule, Set, Table,
    TableFamily, Value, meta,
};
use netlink::{Family, Socket};

use crate::{Error, Netns, Protocol, Result};

/// Where containers on networks with names ask.
pub const RESOLVER: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 11);
const MAP: &str = "resolver";
const OUTPUT: &str = "output";
const PORT: u16 = 53;
/// Room for queries that come at once: the kernel counts 768 bytes for a short one.
const RECEIVED_BYTES: usize = 8 << 20;

/// Sockets that get what a namespace asks its resolver. They do not block.
#[derive(Debug)]
pub struct Resolver {
    pub udp: UdpSocket,
    pub tcp: TcpListener,
}

impl Netns {
    /// Opens the sockets and leads queries to them; those of an earlier daemon are left aside.
    ///
    /// # Errors
    /// A socket cannot be opened, or the kernel refuses the rule.
    pub fn resolver(&self) -> Result<Resolver> {
        let open = || -> std::io::Result<Resolver> {
            let udp = UdpSocket::bind((RESOLVER, 0))?;
            let tcp = TcpListener::bind((RESOLVER, 0))?;
            rustix::net::sockopt::set_socket_recv_buffer_size_force(&udp, RECEIVED_BYTES)
                .or_else(|_| rustix::net::sockopt::set_socket_recv_buffer_size(&udp, RECEIVED_BYTES))?;
            udp.set_nonblocking(true)?;
            tcp.set_nonblocking(true)?;
            Ok(Resolver { udp, tcp })
        };
        let what = || self.path().display().to_string();
        let (resolver, socket) = self.run(|| (open(), Socket::open(Family::Netfilter)))?;
        let failed = |cause: std::io::Error| Error::Io {
            verb: "open resolver sockets in",
            object: what(),
            source: cause,
        };
        let resolver = resolver.map_err(failed)?;
        let mut socket = socket.map_err(Error::netlink("open netlink in", what()))?;
        let port = |address: std::io::Result<SocketAddr>| address.map(|address| address.port());
        let ports = [
            (Protocol::Udp, port(resolver.udp.local_addr()).map_err(failed)?),
            (Protocol::Tcp, port(resolver.tcp.local_addr()).map_err(failed)?),
        ];
        redirect(ports).commit(&mut socket).map_err(Error::netlink("lead name queries in", what()))?;
        Ok(resolver)
    }
}

fn redirect(ports: [(Protocol, u16); 2]) -> Batch {
    let table = Table::ip("wherry-dns");
    let mut batch = Batch::new();
    batch.add_table(&table).delete_table(&table).add_table(&table);
    let value = Value::Data(vec![DataType::Ipv4, DataType::Service]);
    batch.add_set(&table, &Set { name: MAP.to_owned(), key: vec![DataType::Protocol], value });
    batch.add_chain(&table, &Chain::base(OUTPUT, ChainKind::Nat, Hook::Output, -100));
    let element = |(protocol, port): &(Protocol, u16)| Element {
        key: vec![protocol.number()],
        value: ElementValue::Data(Element::address_and_service(RESOLVER.into(), *port)),
    };
    batch.add_elements(&table, MAP, &ports.iter().map(element).collect::<Vec<_>>());
    let equal = |bytes: Vec<u8>| Expression::Compare { register: Register::FIRST, equal: true, bytes };
    let word = Register::word;
    let rule = vec![
        Expression::Network { offset: 16, length: 4, to: Register::FIRST },
        equal(RESOLVER.octets().to_vec()),
        Expression::Transport { offset: 2, length: 2, to: Register::FIRST },
        equal(PORT.to_be_bytes().to_vec()),
        Expression::Meta { key: meta::L4PROTO, to: word(0) },
        Expression::Mapped { map: MAP.to_owned(), register: word(0), to: word(0) },
        Expression::DestinationNat { family: TableFamily::Ip, address: word(0), port: word(1) },
    ];
    batch.add_rule(&table, &Rule::new(OUTPUT, rule));
    batch
}
