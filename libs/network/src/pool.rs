//! The addresses of one subnet, in memory.

use std::net::Ipv4Addr;

use ipnet::Ipv4Net;

use crate::{Error, Result};

/// Which addresses of a subnet are taken. Nothing is stored: after a restart the caller reserves
/// what its records say. An address is free again only when it is released.
#[derive(Debug)]
pub struct AddressPool {
    subnet: Ipv4Net,
    range: Ipv4Net,
    /// A bit per address of the subnet.
    taken: Vec<u64>,
    /// No word of the range before this one has a free bit.
    first_free: usize,
}

impl AddressPool {
    /// A pool of `subnet` that hands out from `range`; network and broadcast address are taken.
    ///
    /// # Errors
    /// [`Error::InvalidSubnet`] for one larger than /8 or with no host, and for a range that is
    /// not a part of it.
    pub fn new(subnet: Ipv4Net, range: Option<Ipv4Net>) -> Result<AddressPool> {
        let subnet = subnet.trunc();
        let range = range.unwrap_or(subnet).trunc();
        if !(8..=31).contains(&subnet.prefix_len()) {
            return Err(Error::InvalidSubnet {
                subnet,
                reason: "its length must be from 8 to 31 bits".to_owned(),
            });
        }
        if !subnet.contains(&range) {
            return Err(Error::InvalidSubnet {
                subnet,
                reason: format!("the range {range} is not a part of it"),
            });
        }
        let addresses = 1usize << (32 - subnet.prefix_len());
        let mut pool = AddressPool { subnet, range, taken: vec![0; addresses.div_ceil(64)], first_free: 0 };
        if subnet.prefix_len() < 31 {
            pool.mark(0, true);
            pool.mark(addresses - 1, true);
        }
        pool.first_free = pool.bit(range.network()) / 64;
        Ok(pool)
    }

    /// Takes the lowest free address of the range.
    ///
    /// # Errors
    /// [`Error::NoFreeAddress`].
    pub fn allocate(&mut self) -> Result<Ipv4Addr> {
        let (first, last) = (self.bit(self.range.network()), self.bit(self.range.broadcast()));
        for word in self.first_free..=last / 64 {
            let before_range = if word == first / 64 { (1u64 << (first % 64)) - 1 } else { 0 };
            let bit = word * 64 + (self.taken[word] | before_range).trailing_ones() as usize;
            if bit < (word + 1) * 64 {
                if bit > last {
                    break;
                }
                self.first_free = word;
                self.mark(bit, true);
                return Ok(Ipv4Addr::from(u32::from(self.subnet.network()) + bit as u32));
            }
        }
        Err(Error::NoFreeAddress(self.range.to_string()))
    }

    /// Takes this address, which may lie outside the range but not outside the subnet.
    ///
    /// # Errors
    /// [`Error::AddressInUse`], [`Error::AddressOutside`].
    pub fn reserve(&mut self, address: Ipv4Addr) -> Result<()> {
        if !self.subnet.contains(&address) {
            return Err(Error::AddressOutside(address.into()));
        }
        let bit = self.bit(address);
        if self.taken[bit / 64] >> (bit % 64) & 1 == 1 {
            return Err(Error::AddressInUse(address.into()));
        }
        self.mark(bit, true);
        Ok(())
    }

    /// Gives an address back. Releasing a free one changes nothing; the network and the broadcast
    /// address stay taken.
    pub fn release(&mut self, address: Ipv4Addr) {
        let is_host = self.subnet.prefix_len() == 31
            || (address != self.subnet.network() && address != self.subnet.broadcast());
        if !self.subnet.contains(&address) || !is_host {
            return;
        }
        let bit = self.bit(address);
        self.mark(bit, false);
        let range = self.bit(self.range.network())..=self.bit(self.range.broadcast());
        if range.contains(&bit) {
            self.first_free = self.first_free.min(bit / 64);
        }
    }

    fn bit(&self, address: Ipv4Addr) -> usize {
        (u32::from(address) - u32::from(self.subnet.network())) as usize
    }

    fn mark(&mut self, bit: usize, taken: bool) {
        let mask = 1u64 << (bit % 64);
        if taken {
            self.taken[bit / 64] |= mask;
        } else {
            self.taken[bit / 64] &= !mask;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    fn net(text: &str) -> Ipv4Net {
        text.parse().unwrap()
    }

    #[test]
    fn hands_out_every_host_once() {
        let mut pool = AddressPool::new(net("10.0.0.0/29"), None).unwrap();
        pool.reserve(Ipv4Addr::new(10, 0, 0, 1)).unwrap();
        let given: Vec<_> =
            std::iter::from_fn(|| pool.allocate().ok()).map(|address| address.octets()[3]).collect();
        assert_eq!(given, [2, 3, 4, 5, 6]);
        assert!(matches!(pool.allocate(), Err(Error::NoFreeAddress(_))));
    }

    #[test]
    fn two_neighbours_have_both_addresses() {
        let mut pool = AddressPool::new(net("10.0.0.0/31"), None).unwrap();
        assert_eq!(pool.allocate().unwrap(), Ipv4Addr::new(10, 0, 0, 0));
        assert_eq!(pool.allocate().unwrap(), Ipv4Addr::new(10, 0, 0, 1));
        assert!(pool.allocate().is_err());
        pool.release(Ipv4Addr::new(10, 0, 0, 0));
        assert_eq!(pool.allocate().unwrap(), Ipv4Addr::new(10, 0, 0, 0));
    }

    #[test]
    fn fixed_requests() {
        let mut pool = AddressPool::new(net("10.0.0.0/16"), Some(net("10.0.4.0/30"))).unwrap();
        assert_eq!(pool.allocate().unwrap(), Ipv4Addr::new(10, 0, 4, 0));
        pool.reserve(Ipv4Addr::new(10, 0, 9, 9)).unwrap();
        assert!(matches!(pool.reserve(Ipv4Addr::new(10, 0, 9, 9)), Err(Error::AddressInUse(_))));
        assert!(matches!(pool.reserve(Ipv4Addr::new(10, 1, 0, 9)), Err(Error::AddressOutside(_))));
        assert!(matches!(pool.reserve(Ipv4Addr::new(10, 0, 255, 255)), Err(Error::AddressInUse(_))));
    }

    proptest! {
        #[test]
        fn behaves_like_a_set(prefix in 22u8..=30, range_extra in 0u8..3, range_at in any::<u32>(), steps in prop::collection::vec((0u8..3, any::<u32>()), 0..300)) {
            let subnet = Ipv4Net::new(Ipv4Addr::new(10, 7, 0, 0), prefix).unwrap().trunc();
            let size = 1u32 << (32 - prefix);
            let base = u32::from(subnet.network());
            let range = Ipv4Net::new(Ipv4Addr::from(base + range_at % size), (prefix + range_extra).min(32)).unwrap().trunc();
            let mut pool = AddressPool::new(subnet, Some(range)).unwrap();
            let mut model = BTreeSet::from([base, base + size - 1]);
            for (step, number) in steps {
                let address = base + number % size;
                match step {
                    0 => {
                        let lowest = (u32::from(range.network())..=u32::from(range.broadcast())).find(|a| !model.contains(a));
                        prop_assert_eq!(pool.allocate().ok().map(u32::from), lowest);
                        model.extend(lowest);
                    }
                    1 => prop_assert_eq!(pool.reserve(address.into()).is_ok(), model.insert(address)),
                    _ => {
                        pool.release(address.into());
                        if address != base && address != base + size - 1 {
                            model.remove(&address);
                        }
                    }
                }
            }
        }
    }
}
