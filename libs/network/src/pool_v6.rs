//! The addresses of one IPv6 subnet, in memory.

use std::collections::HashSet;
use std::net::Ipv6Addr;

use ipnet::Ipv6Net;
use serde::{Deserialize, Serialize};

use crate::{Error, Result};

/// What a network has of IPv6.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct V6Config {
    /// Subnet, host bits zero.
    pub subnet: Ipv6Net,
    /// Address of the bridge itself, or of the router.
    pub gateway: Ipv6Addr,
    /// Part of the subnet that addresses are handed out from.
    #[serde(default)]
    pub range: Option<Ipv6Net>,
    /// Addresses that no container gets unless it asks for one of them.
    #[serde(default)]
    pub reserved: Vec<Ipv6Addr>,
}

impl V6Config {
    /// A subnet whose gateway is its first host.
    pub fn new(subnet: Ipv6Net) -> V6Config {
        let subnet = subnet.trunc();
        let gateway = Ipv6Addr::from(u128::from(subnet.network()) | 1);
        V6Config { subnet, gateway, range: None, reserved: Vec::new() }
    }

    /// Checks that it can serve a network.
    ///
    /// # Errors
    /// [`Error::InvalidNetwork`].
    pub fn check(&self) -> Result<()> {
        let bad = |text: String| Err(Error::InvalidNetwork(text));
        let subnet = self.subnet;
        if !(8..=126).contains(&subnet.prefix_len()) || subnet != subnet.trunc() {
            return bad(format!(
                "invalid subnet {subnet}: its length must be from 8 to 126 bits, its host bits zero"
            ));
        }
        if subnet.network().is_multicast() || subnet.network().is_loopback() {
            return bad(format!("invalid subnet {subnet}: it is not a subnet of hosts"));
        }
        let part = self.range.filter(|range| !subnet.contains(range));
        if let Some(range) = part {
            return bad(format!("invalid range {range}: it is not a part of subnet {subnet}"));
        }
        let all = [self.gateway].into_iter().chain(self.reserved.iter().copied());
        match all.into_iter().find(|address| !subnet.contains(address)) {
            Some(address) => bad(format!("no matching subnet for gateway or reserved address {address}")),
            None => Ok(()),
        }
    }
}

/// Which addresses of an IPv6 subnet are taken. The first of a subnet is the routers' anycast.
#[derive(Debug)]
pub(crate) struct PoolV6 {
    subnet: Ipv6Net,
    range: Ipv6Net,
    taken: HashSet<Ipv6Addr>,
    /// Every address of the range before this one is taken.
    next: u128,
}

impl PoolV6 {
    /// The addresses of a network that are nobody's yet.
    pub fn new(config: &V6Config) -> Result<PoolV6> {
        config.check()?;
        let (subnet, range) = (config.subnet, config.range.unwrap_or(config.subnet).trunc());
        let taken =
            [subnet.network(), config.gateway].into_iter().chain(config.reserved.iter().copied()).collect();
        Ok(PoolV6 { subnet, range, taken, next: u128::from(range.network()) })
    }

    /// Takes the lowest free address of the range.
    pub fn allocate(&mut self) -> Result<Ipv6Addr> {
        let last = u128::from(self.range.broadcast());
        while self.next <= last {
            let address = Ipv6Addr::from(self.next);
            if self.taken.insert(address) {
                return Ok(address);
            }
            self.next += 1;
        }
        Err(Error::NoFreeAddress(self.range.to_string()))
    }

    /// Takes this address.
    pub fn reserve(&mut self, address: Ipv6Addr) -> Result<()> {
        if !self.subnet.contains(&address) {
            return Err(Error::AddressOutside(address.into()));
        }
        if self.taken.insert(address) { Ok(()) } else { Err(Error::AddressInUse(address.into())) }
    }

    /// Gives an address back.
    pub fn release(&mut self, address: Ipv6Addr) {
        if self.taken.remove(&address) && self.range.contains(&address) {
            self.next = self.next.min(u128::from(address));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_lowest_free_address_is_given() {
        let mut pool = PoolV6::new(&V6Config::new("fd00:1::/64".parse().unwrap())).unwrap();
        assert_eq!(pool.allocate().unwrap().to_string(), "fd00:1::2");
        pool.reserve("fd00:1::3".parse().unwrap()).unwrap();
        assert_eq!(pool.allocate().unwrap().to_string(), "fd00:1::4");
        assert!(pool.reserve("fd00:2::1".parse().unwrap()).is_err());
        assert!(pool.reserve("fd00:1::3".parse().unwrap()).is_err());
    }

    #[test]
    fn what_cannot_serve_is_refused() {
        for subnet in ["fd00::1/64", "ff00::/64", "fd00::/127"] {
            let config =
                V6Config { subnet: subnet.parse().unwrap(), ..V6Config::new("fd00::/64".parse().unwrap()) };
            assert!(config.check().is_err(), "{subnet}");
        }
    }

    proptest! {
        #[test]
        fn behaves_like_a_set(steps in prop::collection::vec((0u8..3, 0u8..16), 0..200)) {
            let mut pool = PoolV6::new(&V6Config::new("fd00::/124".parse().unwrap())).unwrap();
            let base = u128::from("fd00::".parse::<Ipv6Addr>().unwrap());
            let mut model = BTreeSet::from([base, base + 1]);
            for (step, number) in steps {
                let address = base + u128::from(number);
                match step {
                    0 => {
                        let lowest = (base..base + 16).find(|a| !model.contains(a));
                        prop_assert_eq!(pool.allocate().ok().map(u128::from), lowest);
                        model.extend(lowest);
                    }
                    1 => prop_assert_eq!(pool.reserve(address.into()).is_ok(), model.insert(address)),
                    _ if number > 1 => {
                        pool.release(address.into());
                        model.remove(&address);
                    }
                    _ => {}
                }
            }
        }
    }
}
