//! The stack's own nftables table, and its guests in foreign ones.
//!
//! Chains and maps are made once, with the bridges; after that a published port is one element
//! of one map, and a container is nothing at all.

mod family;
mod foreign;
mod install;
mod rules;

use std::net::IpAddr;
use std::sync::Mutex;

use netlink::nft::{Batch, Element, ElementValue, Table, Verdict, generation};
use netlink::{Family, Socket, conntrack};
use rustix::io::Errno;

pub(crate) use family::Family as IpFamily;

use crate::bridge::Standing;
use crate::{Error, PortBinding, Protocol, Result};

/// One family's share of published ports.
fn of_family(family: IpFamily, published: &[Published]) -> Vec<Published> {
    published.iter().filter(|(_, address)| family.has(*address)).copied().collect()
}

/// Published ports on every host address: `protocol . port : address . port`.
pub(crate) const PUBLISHED: &str = "published";
/// Ports that are open at containers' own addresses: `protocol . address . port : accept`.
pub(crate) const OPENED: &str = "opened";
/// Published ports on one host address: `protocol . address . port : address . port`.
pub(crate) const PUBLISHED_ON: &str = "published-on";

/// The firewall of one stack.
#[derive(Debug)]
pub(crate) struct Firewall {
    stack: String,
    /// Whether there are rules at all (dockerd's `--iptables`).
    is_on: bool,
    /// Without rules somebody carries what comes to published ports.
    is_relayed: bool,
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
pub(crate) type Published = (PortBinding, IpAddr);

impl Firewall {
    /// The firewall of a stack; without rules when it is not to be `on`.
    pub fn open(stack: &str, is_on: bool, is_relayed: bool) -> Result<Firewall> {
        let socket = Socket::open(Family::Netfilter).map_err(Error::netlink("open", "a netfilter socket"))?;
        Ok(Firewall {
            stack: stack.to_owned(),
            is_on,
            is_relayed,
            inner: Mutex::new(Inner { socket, admitted: None, warnings: Vec::new() }),
        })
    }

    fn table(&self, family: IpFamily) -> Table {
        family.table(&format!("wherry-{}", self.stack))
    }

    /// Makes the tables as they are wanted, each in one transaction. Packets meet the old one or
    /// the new one, and connections that live are not touched. Answers with warnings.
    pub fn install(&self, bridges: &[Standing], published: &[Published]) -> Result<Vec<String>> {
        if !self.is_on {
            // What a former life with rules left would go on translating.
            self.remove()?;
            return Ok(Vec::new());
        }
        let mut inner = self.lock();
        for family in IpFamily::ALL {
            let (table, bridges) = (self.table(family), family.among(bridges));
            let published = of_family(family, published);
            if family == IpFamily::V6 && bridges.is_empty() {
                remove_table(&mut inner.socket, &table)?;
                continue;
            }
            let change = install::change(&mut inner.socket, family, &table, &bridges, &published);
            if change.and_then(|batch| inner.commit(batch)).is_err() {
                // What is there is not of this version's making.
                let batch = install::replacement(family, &table, &bridges, &published);
                inner.commit(batch).map_err(Error::netlink("install", describe(&table)))?;
            }
        }
        // The bridges may be others now.
        inner.admitted = None;
        inner.admit(&self.stack, bridges)?;
        Ok(inner.warnings.clone())
    }

    /// Sees to it that foreign firewalls still let this stack's packets through.
    pub fn admit(&self, bridges: &[Standing]) -> Result<Vec<String>> {
        if !self.is_on {
            return Ok(Vec::new());
        }
        let mut inner = self.lock();
        inner.admit(&self.stack, bridges)?;
        Ok(inner.warnings.clone())
    }

    /// Whether the tables are still there: somebody may have flushed the whole ruleset.
    pub fn is_whole(&self, bridges: &[Standing]) -> Result<bool> {
        if !self.is_on {
            return Ok(true);
        }
        let mut inner = self.lock();
        for family in IpFamily::ALL {
            if family.among(bridges).is_empty() {
                continue;
            }
            // A flush of rules leaves the chains, one of the ruleset nothing.
            if !rules::are_there(&mut inner.socket, &self.table(family))? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Publishes ports.
    pub fn publish(&self, published: &[Published]) -> Result<()> {
        if published.is_empty() {
            return Ok(());
        }
        if !self.is_on && self.is_relayed {
            return Ok(());
        }
        if !self.is_on {
            return Err(Error::Unsupported(
                "ports cannot be published: neither firewall (--iptables=false) nor proxy (--userland-proxy=false)"
                    .to_owned(),
            ));
        }
        let mut batch = Batch::new();
        for family in IpFamily::ALL {
            for (map, elements) in by_map(&of_family(family, published)) {
                batch.add_elements(&self.table(family), map, &elements);
            }
        }
        let mut inner = self.lock();
        inner.commit(batch).map_err(Error::netlink("publish ports in", self.describe()))?;
        for (binding, address) in published.iter().filter(|(binding, _)| binding.protocol == Protocol::Udp) {
            // A flow that began before would go on untranslated. A kernel that cannot forget
            // lets it, until it has been silent for half a minute.
            let number = binding.protocol.number();
            let _ = conntrack::forget_port(&mut inner.socket, address.is_ipv6(), number, binding.host_port);
        }
        Ok(())
    }

    /// Withdraws ports. Those that are not published are left alone.
    pub fn withdraw(&self, published: &[Published]) -> Result<()> {
        if !self.is_on {
            return Ok(());
        }
        let mut inner = self.lock();
        let remove = |inner: &mut Inner, published: &[Published]| {
            let mut batch = Batch::new();
            for family in IpFamily::ALL {
                for (map, elements) in by_map(&of_family(family, published)) {
                    batch.delete_elements(&self.table(family), map, &elements);
                }
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
        let mut addresses: Vec<IpAddr> = published
            .iter()
            .filter(|(binding, _)| binding.protocol == Protocol::Udp)
            .map(|(_, address)| *address)
            .collect();
        addresses.dedup();
        for address in addresses {
            // A client that goes on sending would reach whoever has the address next.
            let _ = conntrack::forget_destination(&mut inner.socket, address);
        }
        Ok(())
    }

    /// Removes the tables and the rules in foreign ones. Absent is success.
    pub fn remove(&self) -> Result<()> {
        let mut inner = self.lock();
        inner.admitted = None;
        for family in IpFamily::ALL {
            foreign::withdraw(&mut inner.socket, &self.stack, family)?;
            remove_table(&mut inner.socket, &self.table(family))?;
        }
        Ok(())
    }

    fn describe(&self) -> String {
        describe(&self.table(IpFamily::V4))
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

fn describe(table: &Table) -> String {
    format!("nftables table {}", table.name)
}

fn remove_table(socket: &mut Socket, table: &Table) -> Result<()> {
    let failed = || Error::netlink("remove", describe(table));
    if !Table::list(socket, table.family).map_err(failed())?.contains(&table.name) {
        return Ok(());
    }
    let mut batch = Batch::new();
    batch.add_table(table).delete_table(table);
    batch.commit(socket).map_err(failed())
}

/// The elements that make these ports published, by the map that they belong in.
fn by_map(published: &[Published]) -> [(&'static str, Vec<Element>); 3] {
    let (routed, translated): (Vec<&Published>, Vec<&Published>) =
        published.iter().partition(|(binding, _)| binding.is_routed());
    let (any, on): (Vec<&Published>, Vec<&Published>) =
        translated.into_iter().partition(|(binding, _)| binding.host_address.is_unspecified());
    [
        (PUBLISHED, any.into_iter().map(element).collect()),
        (PUBLISHED_ON, on.into_iter().map(element).collect()),
        (OPENED, routed.into_iter().map(opened).collect()),
    ]
}

fn opened((binding, address): &Published) -> Element {
    let key = [
        Element::protocol(binding.protocol.number()).to_vec(),
        Element::address(*address).to_vec(),
        Element::service(binding.container_port).to_vec(),
    ];
    Element { key: key.concat(), value: ElementValue::Verdict(Verdict::Accept) }
}

fn element((binding, address): &Published) -> Element {
    let mut key = Element::protocol(binding.protocol.number()).to_vec();
    if !binding.host_address.is_unspecified() {
        key.extend_from_slice(&Element::address(binding.host_address));
    }
    key.extend_from_slice(&Element::service(binding.host_port));
    Element { key, value: ElementValue::Data(Element::address_and_service(*address, binding.container_port)) }
}
