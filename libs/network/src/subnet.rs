//! Choosing a subnet that nothing on the host overlaps with.

use std::net::Ipv4Addr;

use ipnet::Ipv4Net;

use crate::{Error, Result};

/// The subnets to choose from, as Docker orders them, but for 172.17.0.0/16, which is left to a
/// dockerd on the same host.
fn candidates() -> impl Iterator<Item = Ipv4Net> {
    let large = (18..=31).map(|second| Ipv4Net::new_assert(Ipv4Addr::new(172, second, 0, 0), 16));
    let small = (0..=15).map(|sixteenth| Ipv4Net::new_assert(Ipv4Addr::new(192, 168, sixteenth * 16, 0), 20));
    large.chain(small)
}

/// Subnets of one size in a larger one (dockerd's `--default-address-pool`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pool {
    /// The larger one.
    pub base: Ipv4Net,
    /// Bits of each.
    pub prefix_len: u8,
}

/// Whether two subnets have an address in common.
pub(crate) fn overlap(a: &Ipv4Net, b: &Ipv4Net) -> bool {
    a.contains(&b.network()) || b.contains(&a.network())
}

/// The first subnet of the pools (Docker's, if there are none) that has nothing in common with
/// what is in use. A default route is not a use.
pub(crate) fn choose(pools: &[Pool], in_use: &[Ipv4Net]) -> Result<Ipv4Net> {
    let of_pools =
        pools.iter().flat_map(|pool| pool.base.trunc().subnets(pool.prefix_len).into_iter().flatten());
    of_pools
        .chain(candidates().filter(|_| pools.is_empty()))
        .find(|candidate| !in_use.iter().any(|used| used.prefix_len() > 0 && overlap(used, candidate)))
        .ok_or(Error::NoFreeSubnet)
}

/// Checks that a subnet can serve a bridge.
pub(crate) fn check(subnet: Ipv4Net, gateway: Option<Ipv4Addr>) -> Result<()> {
    let invalid = |reason: &str| Err(Error::InvalidSubnet { subnet, reason: reason.to_owned() });
    if subnet != subnet.trunc() {
        return invalid(&format!("host bits are set, the subnet is {}", subnet.trunc()));
    }
    // Without a gateway two addresses are enough (RFC 3021).
    let longest = if gateway.is_some() { 30 } else { 31 };
    if !(8..=longest).contains(&subnet.prefix_len()) {
        return invalid(&format!("its length must be from 8 to {longest} bits"));
    }
    if subnet.addr().is_loopback() || subnet.addr().is_multicast() || subnet.addr().is_unspecified() {
        return invalid("it is not a subnet of hosts");
    }
    let is_host = |gateway: &Ipv4Addr| {
        subnet.contains(gateway) && *gateway != subnet.network() && *gateway != subnet.broadcast()
    };
    match gateway.filter(|gateway| !is_host(gateway)) {
        Some(gateway) => invalid(&format!("the gateway {gateway} is none of its hosts")),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nets(texts: &[&str]) -> Vec<Ipv4Net> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    #[test]
    fn the_first_that_overlaps_with_nothing() {
        assert_eq!(choose(&[], &[]).unwrap().to_string(), "172.18.0.0/16");
        assert_eq!(
            choose(&[], &nets(&["0.0.0.0/0", "172.17.0.0/16", "172.18.3.0/24"])).unwrap().to_string(),
            "172.19.0.0/16"
        );
        assert_eq!(
            choose(&[], &nets(&["172.16.0.0/12", "192.168.1.0/24"])).unwrap().to_string(),
            "192.168.16.0/20"
        );
        assert!(matches!(choose(&[], &nets(&["172.16.0.0/12", "192.168.0.0/16"])), Err(Error::NoFreeSubnet)));
    }

    #[test]
    fn pools_of_ones_own_come_instead() {
        let pool = Pool { base: "10.9.0.0/16".parse().unwrap(), prefix_len: 24 };
        assert_eq!(choose(&[pool], &nets(&["10.9.0.0/24"])).unwrap().to_string(), "10.9.1.0/24");
        assert!(choose(&[pool], &nets(&["10.0.0.0/8"])).is_err());
    }

    #[test]
    fn what_cannot_serve_is_refused() {
        for (subnet, gateway) in [
            ("10.0.0.1/24", "10.0.0.1"),
            ("10.0.0.0/31", "10.0.0.1"),
            ("127.0.0.0/8", "127.0.0.1"),
            ("10.0.0.0/24", "10.0.1.1"),
            ("10.0.0.0/24", "10.0.0.255"),
        ] {
            assert!(check(subnet.parse().unwrap(), Some(gateway.parse().unwrap())).is_err(), "{subnet}");
        }
        check("10.0.0.0/30".parse().unwrap(), Some("10.0.0.1".parse().unwrap())).unwrap();
        check("10.0.0.0/31".parse().unwrap(), None).unwrap();
    }
}
