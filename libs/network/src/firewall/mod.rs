//! The stack's own nftables table, and its guests in foreign ones.
//!
//! Chains and maps are made once, with the bridges; after that a published port is one element
//! of one map, and a container is nothing at all.

mod foreign;
mod install;
mod rules;

use std::net::Ipv4Addr;
use std::sync::Mutex;

use netlink::nft::{Batch, Element, ElementValue, Table, generation};
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
    inner: Mutex<Inner>,
}

#[derive(Debug)]
struct Inner {
    socket: Socket,
    /// The ruleset's number when foreign firewalls were last seen to let the bridges through.
    admitted: Option<u32>,
    warnings: Vec<String>,
}

impl Inner {
    /// Applies a batch of which foreign firewalls need not know.
    fn commit(&mut self, batch: Batch) -> netlink::Result<()> {
        batch.commit(&mut self.socket)?;
        let now = generation(&mut self.socket).ok();
        if now == self.admitted.map(|number| number.wrapping_add(1)) {
            self.admitted = now;
        }
        Ok(())
    }

    /// Puts the guest rules in place, unless nobody changed a rule since.
    fn admit(&mut self, stack: &str, bridges: &[Standing]) -> Result<()> {
        let number = |socket: &mut Socket| {
            generation(socket).map_err(Error::netlink("read", "the number of the ruleset"))
        };
        let before = number(&mut self.socket)?;
        if self.admitted == Some(before) {
            return Ok(());
        }
        self.admitted = None;
        // A rule that was just listed may be gone by now: once more, then.
        self.warnings = foreign::admit(&mut self.socket, stack, bridges)
            .or_else(|_| foreign::admit(&mut self.socket, stack, bridges))?;
        let after = number(&mut self.socket)?;
        // More than one batch: somebody else's came between.
        self.admitted = (after.wrapping_sub(before) <= 1).then_some(after);
        Ok(())
    }
}

/// A published port and the container behind it.
pub(crate) type Published = (PortBinding, Ipv4Addr);

impl Firewall {
    pub fn open(stack: &str) -> Result<Firewall> {
        let socket = Socket::open(Family::Netfilter).map_err(Error::netlink("open", "a netfilter socket"))?;
        Ok(Firewall {
            stack: stack.to_owned(),
            table: Table::ip(&format!("wherry-{stack}")),
            inner: Mutex::new(Inner { socket, admitted: None, warnings: Vec::new() }),
        })
    }

    /// Makes the whole table as it is wanted in one transaction. Packets meet the old one or the
    /// new one, and connections that live are not touched. Answers with warnings.
    pub fn install(&self, bridges: &[Standing], published: &[Published]) -> Result<Vec<String>> {
        let mut inner = self.lock();
        let change = install::change(&mut inner.socket, &self.table, bridges, published);
        if change.and_then(|batch| inner.commit(batch)).is_err() {
            // What is there is not of this version's making.
            let batch = install::replacement(&self.table, bridges, published);
            inner.commit(batch).map_err(Error::netlink("install", self.describe()))?;
        }
        // The bridges may be others now.
        inner.admitted = None;
        inner.admit(&self.stack, bridges)?;
        Ok(inner.warnings.clone())
    }

    /// Sees to it that foreign firewalls still let this stack's packets through.
    pub fn admit(&self, bridges: &[Standing]) -> Result<Vec<String>> {
        let mut inner = self.lock();
        inner.admit(&self.stack, bridges)?;
        Ok(inner.warnings.clone())
    }

    /// Publishes ports.
    pub fn publish(&self, published: &[Published]) -> Result<()> {
        let mut batch = Batch::new();
        for (map, elements) in by_map(published) {
            batch.add_elements(&self.table, map, &elements);
        }
        let mut inner = self.lock();
        inner.commit(batch).map_err(Error::netlink("publish ports in", self.describe()))?;
        for (binding, _) in published.iter().filter(|(binding, _)| binding.protocol == Protocol::Udp) {
            // A flow that began before would go on untranslated. A kernel that cannot forget
            // lets it, until it has been silent for half a minute.
            let _ = conntrack::forget_port(&mut inner.socket, binding.protocol.number(), binding.host_port);
        }
        Ok(())
    }

    /// Withdraws ports. Those that are not published are left alone.
    pub fn withdraw(&self, published: &[Published]) -> Result<()> {
        let mut inner = self.lock();
        let remove = |inner: &mut Inner, published: &[Published]| {
            let mut batch = Batch::new();
            for (map, elements) in by_map(published) {
                batch.delete_elements(&self.table, map, &elements);
            }
            inner.commit(batch)
        };
        match remove(&mut inner, published) {
            // One of them is gone already: the others are removed one by one.
            Err(error) if error.errno() == Some(Errno::NOENT) => {
                for one in published {
                    match remove(&mut inner, std::slice::from_ref(one)) {
                        Err(error) if error.errno() != Some(Errno::NOENT) => {
                            return Err(Error::netlink("withdraw ports from", self.describe())(error));
                        }
                        _ => {}
                    }
                }
            }
            other => other.map_err(Error::netlink("withdraw ports from", self.describe()))?,
        }
        if let Some((_, address)) = published.iter().find(|(binding, _)| binding.protocol == Protocol::Udp) {
            // A client that goes on sending would reach whoever has the address next.
            let _ = conntrack::forget_destination(&mut inner.socket, *address);
        }
        Ok(())
    }

    /// Removes the table and the rules in foreign tables. Absent is success.
    pub fn remove(&self) -> Result<()> {
        let mut inner = self.lock();
        inner.admitted = None;
        foreign::withdraw(&mut inner.socket, &self.stack)?;
        let mut batch = Batch::new();
        batch.add_table(&self.table).delete_table(&self.table);
        batch.commit(&mut inner.socket).map_err(Error::netlink("remove", self.describe()))
    }

    fn describe(&self) -> String {
        format!("nftables table ip {}", self.table.name)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

/// The elements that make these ports published, by the map that they belong in.
fn by_map(published: &[Published]) -> [(&'static str, Vec<Element>); 2] {
    let (any, on): (Vec<&Published>, Vec<&Published>) =
        published.iter().partition(|(binding, _)| binding.host_address.is_unspecified());
    [
        (PUBLISHED, any.into_iter().map(element).collect()),
        (PUBLISHED_ON, on.into_iter().map(element).collect()),
    ]
}

fn element((binding, address): &Published) -> Element {
    let mut key = Element::protocol(binding.protocol.number()).to_vec();
    if !binding.host_address.is_unspecified() {
        key.extend_from_slice(&binding.host_address.octets());
    }
    key.extend_from_slice(&Element::service(binding.host_port));
    Element { key, value: ElementValue::Data(Element::address_and_service(*address, binding.container_port)) }
}
