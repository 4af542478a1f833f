//! Flags of networks that only some hosts need.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::PathBuf;

use clap::Args;
use errdefs::{Error, Result};
use network::IpNet;

/// The default network beyond its subnet, and what all networks share.
#[derive(Args, Clone, Debug, Default)]
pub struct NetworkFlags {
    /// The default bridge has IPv6 addresses too
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub ipv6: Option<bool>,
    /// IPv6 address and prefix length of the default bridge
    #[arg(long, value_name = "CIDR")]
    pub bip6: Option<String>,
    /// IPv6 subnet of the default bridge
    #[arg(long, value_name = "CIDR")]
    pub fixed_cidr_v6: Option<String>,
    /// Firewall rules are made for IPv6 too; they are wherever a network has IPv6
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub ip6tables: Option<bool>,
    /// Router of containers on the default bridge [default: the bridge itself]
    #[arg(long, value_name = "IP")]
    pub default_gateway: Option<Ipv4Addr>,
    /// Refused: with IPv6 the router is the bridge, or says so itself
    #[arg(long, hide = true)]
    pub default_gateway_v6: Option<Ipv6Addr>,
    /// Subnets of networks that name none: base=CIDR,size=BITS
    #[arg(long, value_name = "POOL")]
    pub default_address_pool: Vec<String>,
    /// Option of networks that do not set it themselves: DRIVER=KEY=VALUE
    #[arg(long, value_name = "OPTION")]
    pub default_network_opt: Vec<String>,
    /// Address that host-gateway stands for in --add-host [default: the default bridge's]
    #[arg(long, alias = "host-gateway-ips", value_name = "IP")]
    pub host_gateway_ip: Vec<IpAddr>,
    /// Other hosts may reach containers by their own addresses
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub allow_direct_routing: Option<bool>,
    /// Packets with this mark pass to containers: MARK or MARK/MASK
    #[arg(long, value_name = "MARK")]
    pub bridge_accept_fwmark: Option<String>,
    /// Firewall in the kernel: nftables is the only one
    #[arg(long, value_name = "NAME")]
    pub firewall_backend: Option<String>,
    /// Taken and without effect: the policy of others' chains is never changed
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub ip_forward_no_drop: Option<bool>,
    /// Taken and without effect, as --userland-proxy
    #[arg(long, value_name = "PATH")]
    pub userland_proxy_path: Option<PathBuf>,
}

impl super::Flags {
    /// Where subnets that nobody names come from: a large one, and the bits of each; checked by
    /// [`NetworkFlags::check`].
    pub fn address_pools(&self) -> Vec<(IpNet, u8)> {
        self.net.default_address_pool.iter().filter_map(|text| pool(text)).collect()
    }
}

impl NetworkFlags {
    /// Checks what is more than a word.
    ///
    /// # Errors
    /// A value that is malformed; it is named.
    pub fn check(&self) -> Result<()> {
        let bad = |flag: &str, text: &str, form: &str| {
            Err(Error::invalid_argument(format!("invalid --{flag} {text:?}: expected {form}")))
        };
        if self.default_gateway_v6.is_some() {
            return Err(Error::invalid_argument("--default-gateway-v6 is not supported by this engine"));
        }
        if let Some(text) = self.default_address_pool.iter().find(|text| pool(text).is_none()) {
            return bad("default-address-pool", text, "base=CIDR,size=BITS, larger than the subnets");
        }
        if let Some(text) = self.bridge_accept_fwmark.as_ref().filter(|text| mark(text).is_none()) {
            return bad("bridge-accept-fwmark", text, "MARK or MARK/MASK");
        }
        if let Some(text) = self.default_network_opt.iter().find(|text| network_option(text).is_none()) {
            return bad("default-network-opt", text, "DRIVER=KEY=VALUE");
        }
        Ok(())
    }

    /// The mark by which packets pass, and its mask.
    pub fn accept_mark(&self) -> Option<(u32, u32)> {
        self.bridge_accept_fwmark.as_deref().and_then(mark)
    }

    /// Options that networks of a driver have unless they set them themselves.
    pub fn default_options(&self, driver: &str) -> Vec<(String, String)> {
        let all = self.default_network_opt.iter().filter_map(|text| network_option(text));
        all.filter(|(of, _, _)| *of == driver)
            .map(|(_, key, value)| (key.to_owned(), value.to_owned()))
            .collect()
    }
}

fn pool(text: &str) -> Option<(IpNet, u8)> {
    let (mut base, mut size) = (None, None);
    for part in text.split(',') {
        match part.split_once('=')? {
            ("base", value) => base = value.parse::<IpNet>().ok(),
            ("size", value) => size = value.parse::<u8>().ok(),
            _ => return None,
        }
    }
    let (base, size) = (base?, size?);
    let is_possible = base.prefix_len() <= size && size <= base.max_prefix_len() - 2;
    is_possible.then_some((base, size))
}

fn mark(text: &str) -> Option<(u32, u32)> {
    let number = |text: &str| match text.strip_prefix("0x") {
        Some(digits) => u32::from_str_radix(digits, 16).ok(),
        None => text.parse().ok(),
    };
    match text.split_once('/') {
        Some((mark, mask)) => Some((number(mark)?, number(mask)?)),
        None => Some((number(text)?, u32::MAX)),
    }
}

fn network_option(text: &str) -> Option<(&str, &str, &str)> {
    let (driver, rest) = text.split_once('=')?;
    let (key, value) = rest.split_once('=')?;
    (!driver.is_empty() && !key.is_empty()).then_some((driver, key, value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pools_marks_and_options_are_read() {
        assert_eq!(pool("base=10.9.0.0/16,size=24"), Some(("10.9.0.0/16".parse().unwrap(), 24)));
        assert!(pool("size=64,base=fd00::/48").is_some());
        for text in
            ["", "base=10.0.0.0/16", "base=10.0.0.0/16,size=8", "base=10.0.0.0/16,size=32", "base=x,size=24"]
        {
            assert_eq!(pool(text), None, "{text}");
        }
        assert_eq!((mark("0x10/0xff"), mark("7"), mark("x")), (Some((16, 255)), Some((7, u32::MAX)), None));
        assert_eq!(network_option("bridge=a.b=c=d"), Some(("bridge", "a.b", "c=d")));
        assert_eq!(network_option("bridge=a"), None);
    }
}
