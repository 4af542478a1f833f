//! The stack's own nftables table, and its guests in foreign ones.
//!
//! Chains and maps are made once, with the bridges; after that a published port is one element
//! of one map, and a container is nothing at all.

mod foreign;
mod rules;

use std::net::Ipv4Addr;
use std::sync::Mutex;

use netlink::nft::{Batch, Element, ElementValue, Table};
use netlink::{Family, Socket, conntrack};
use rustix::io::Errno;

use crate::bridge::Standing;
use crate::{Error, PortBinding, Protocol, Result};

/// Published ports on every host address: `protocol . port : address . port`.
pub(crate) const PUBLISHED: &str = "published";
/// Published ports on one host address: `protocol . address . port : address . port`.
pub(crate) const PUBLISHED_ON: &str = "published-on";

/// The firewall of one stack.
#[derive(Debug)]
pub(crate) struct Firewall {
    stack: String,
    table: Table,
    socket: Mutex<Socket>,
}

/// A published port and the container behind it.
pub(crate) type Published = (PortBinding, Ipv4Addr);

impl Firewall {
    pub fn open(stack: &str) -> Result<Firewall> {
        let socket = Socket::open(Family::Netfilter).map_err(Error::netlink("open", "a netfilter socket"))?;
        Ok(Firewall { stack: stack.to_owned(), table: Table::ip(&format!("wherry-{stack}")), socket: Mutex::new(socket) })
    }

    /// Puts the whole table in place in one transaction: the old one works until the new one
    /// does, and connections that live are not touched. Answers with warnings.
    pub fn install(&self, bridges: &[Standing], published: &[Published]) -> Result<Vec<String>> {
        let mut batch = Batch::new();
        batch.add_table(&self.table).delete_table(&self.table).add_table(&self.table);
        rules::encode(&mut batch, &self.table, bridges);
        for (map, elements) in by_map(published) {
            batch.add_elements(&self.table, map, &elements);
        }
        let mut socket = self.lock();
        batch.commit(&mut socket).map_err(Error::netlink("install", self.describe()))?;
        foreign::admit(&mut socket, &self.stack, bridges)
    }

    /// Sees to it that foreign firewalls still let this stack's packets through.
    pub fn admit(&self, bridges: &[Standing]) -> Result<Vec<String>> {
        foreign::admit(&mut self.lock(), &self.stack, bridges)
    }

    /// Publishes ports.
    pub fn publish(&self, published: &[Published]) -> Result<()> {
        let mut batch = Batch::new();
        for (map, elements) in by_map(published) {
            batch.add_elements(&self.table, map, &elements);
        }
        let mut socket = self.lock();
        batch.commit(&mut socket).map_err(Error::netlink("publish ports in", self.describe()))?;
        for (binding, _) in published.iter().filter(|(binding, _)| binding.protocol == Protocol::Udp) {
            // A flow that began before would go on untranslated. A kernel that cannot forget
            // lets it, until it has been silent for half a minute.
            let _ = conntrack::forget_port(&mut socket, binding.protocol.number(), binding.host_port);
        }
        Ok(())
    }

    /// Withdraws ports. Those that are not published are left alone.
    pub fn withdraw(&self, published: &[Published]) -> Result<()> {
        let mut socket = self.lock();
        let remove = |socket: &mut Socket, published: &[Published]| {
            let mut batch = Batch::new();
            for (map, elements) in by_map(published) {
                batch.delete_elements(&self.table, map, &elements);
            }
            batch.commit(socket)
        };
        match remove(&mut socket, published) {
            // One of them is gone already: the others are removed one by one.
            Err(error) if error.errno() == Some(Errno::NOENT) => {
                for one in published {
                    match remove(&mut socket, std::slice::from_ref(one)) {
                        Err(error) if error.errno() != Some(Errno::NOENT) => return Err(Error::netlink("withdraw ports from", self.describe())(error)),
                        _ => {}
                    }
                }
            }
            other => other.map_err(Error::netlink("withdraw ports from", self.describe()))?,
        }
        if let Some((_, address)) = published.iter().find(|(binding, _)| binding.protocol == Protocol::Udp) {
            // A client that goes on sending would reach whoever has the address next.
            let _ = conntrack::forget_destination(&mut socket, *address);
        }
        Ok(())
    }

    /// Removes the table and the rules in foreign tables. Absent is success.
    pub fn remove(&self) -> Result<()> {
        let mut socket = self.lock();
        foreign::withdraw(&mut socket, &self.stack)?;
        let mut batch = Batch::new();
        batch.add_table(&self.table).delete_table(&self.table);
        batch.commit(&mut socket).map_err(Error::netlink("remove", self.describe()))
    }

    fn describe(&self) -> String {
        format!("nftables table ip {}", self.table.name)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Socket> {
        self.socket.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

/// The elements that make these ports published, by the map that they belong in.
fn by_map(published: &[Published]) -> [(&'static str, Vec<Element>); 2] {
    let (any, on): (Vec<&Published>, Vec<&Published>) = published.iter().partition(|(binding, _)| binding.host_address.is_unspecified());
    [(PUBLISHED, any.into_iter().map(element).collect()), (PUBLISHED_ON, on.into_iter().map(element).collect())]
}

fn element((binding, address): &Published) -> Element {
    let mut key = Element::protocol(binding.protocol.number()).to_vec();
    if !binding.host_address.is_unspecified() {
        key.extend_from_slice(&binding.host_address.octets());
    }
    key.extend_from_slice(&Element::service(binding.host_port));
    Element { key, value: ElementValue::Data(Element::address_and_service(*address, binding.container_port)) }
}
