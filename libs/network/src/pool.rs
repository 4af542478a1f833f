//! The addresses of one subnet, in memory.

use std::net::Ipv4Addr;

use ipnet::Ipv4Net;

use crate::Result;

/// Which addresses of a subnet are taken. Nothing is stored: after a restart the caller reserves
/// what its records say. An address is free again only when it is released.
#[derive(Debug)]
pub struct AddressPool {
    subnet: Ipv4Net,
    range: Ipv4Net,
    taken: Vec<u64>,
}

impl AddressPool {
    /// A pool of `subnet` that hands out from `range`; network and broadcast address are taken.
    pub fn new(subnet: Ipv4Net, range: Option<Ipv4Net>) -> Result<AddressPool> {
        todo!("{subnet} {range:?}")
    }

    /// Takes the lowest free address of the range.
    pub fn allocate(&mut self) -> Result<Ipv4Addr> {
        todo!("{} {} {}", self.subnet, self.range, self.taken.len())
    }

    /// Takes this address, which may lie outside the range but not outside the subnet.
    pub fn reserve(&mut self, address: Ipv4Addr) -> Result<()> {
        todo!("{address}")
    }

    /// Gives an address back. Releasing a free one changes nothing.
    pub fn release(&mut self, address: Ipv4Addr) {
        todo!("{address}")
    }
}
