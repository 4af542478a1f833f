//! IPv6 subnets of an engine's own (RFC 4193), for networks that name none.

use network::{IpNet, Ipv6Net};
use sha2::{Digest, Sha256};

use crate::config::Config;

/// Bits of each network's subnet.
const SUBNET_BITS: u8 = 64;

/// All that may be handed out, in order: those of the pools, else 65536 below a prefix that is the
/// same for the life of the data root.
fn all(config: &Config) -> impl Iterator<Item = Ipv6Net> {
    let of_pools: Vec<(Ipv6Net, u8)> = config
        .flags
        .address_pools()
        .into_iter()
        .filter_map(|(base, size)| match base {
            IpNet::V6(base) => Some((base, size)),
            IpNet::V4(_) => None,
        })
        .collect();
    let pools = if of_pools.is_empty() { vec![(prefix(config), SUBNET_BITS)] } else { of_pools };
    pools.into_iter().flat_map(|(base, size)| base.trunc().subnets(size).into_iter().flatten())
}

fn prefix(config: &Config) -> Ipv6Net {
    let host = std::fs::read("/etc/machine-id").unwrap_or_default();
    let digest = Sha256::new().chain_update(host).chain_update(config.stack_name()).finalize();
    let mut octets = [0; 16];
    octets[0] = 0xfd;
    octets[1..6].copy_from_slice(&digest[..5]);
    Ipv6Net::new_assert(octets.into(), 48)
}

/// The default network's.
pub fn first(config: &Config) -> Ipv6Net {
    all(config).next().unwrap_or_else(|| prefix(config))
}

/// One that overlaps with none of those in use.
pub fn free(config: &Config, in_use: &[Ipv6Net]) -> Option<Ipv6Net> {
    let overlaps = |a: &Ipv6Net, b: &Ipv6Net| a.contains(&b.network()) || b.contains(&a.network());
    // The first stays the default network's, whether it has IPv6 today or not.
    all(config).skip(1).find(|candidate| !in_use.iter().any(|used| overlaps(used, candidate)))
}
