//! `network create`.

use std::collections::BTreeMap;

use engine_api::network::{ConfigReference, Ipam, IpamPool, NetworkCreate, NetworkCreated};

use crate::grammar::{Arity, Command, Exit, Failure, Flag, Matches};
use crate::options::environment::{check_label, pairs};
use crate::output;
use crate::session::Session;

pub const COMMAND: Command = Command {
    paths: &["network create"],
    usage: "NETWORK",
    about: "Create a network",
    flags: &[FLAGS],
    arity: Arity::Exactly(1),
    stops_at_positional: false,
    run: |session, matches| Box::pin(run(session, matches)),
};

const FLAGS: &[Flag] = &[
    Flag::bool("attachable", "Let containers be attached by hand").since(25),
    Flag::list("aux-address", "Address that the driver uses").value("map"),
    Flag::text("config-from", "Network to copy the configuration from").since(30),
    Flag::bool("config-only", "Create only a configuration").since(30),
    Flag::text("driver", "Driver of the network").short('d').default("bridge"),
    Flag::strings("gateway", "Gateway of the subnet"),
    Flag::bool("ingress", "Create swarm's routing mesh").since(29),
    Flag::bool("internal", "Keep the network from the outside"),
    Flag::strings("ip-range", "Range that containers get addresses from"),
    Flag::text("ipam-driver", "Driver of the addresses").default("default"),
    Flag::list("ipam-opt", "Option of the addresses' driver").value("map"),
    Flag::bool("ipv4", "Give containers IPv4 addresses").default("true"),
    Flag::bool("ipv6", "Give containers IPv6 addresses"),
    Flag::list("label", "Label the network").check(check_label),
    Flag::list("opt", "Option of the driver").short('o').value("map"),
    Flag::text("scope", "Scope of the network").since(30),
    Flag::strings("subnet", "Subnet in CIDR form"),
];

async fn run(session: &Session, matches: &Matches) -> Result<Exit, Failure> {
    let body = NetworkCreate {
        check_duplicate: true,
        name: matches.arg(0).to_owned(),
        driver: matches.text("driver").unwrap_or("bridge").to_owned(),
        scope: matches.string("scope"),
        enable_ipv4: matches.changed("ipv4").then(|| matches.flag("ipv4")),
        enable_ipv6: matches.changed("ipv6").then(|| matches.flag("ipv6")),
        ipam: Some(Ipam {
            driver: matches.text("ipam-driver").unwrap_or("default").to_owned(),
            options: Some(pairs(matches.list("ipam-opt"))),
            config: Some(pools(matches)?),
        }),
        internal: matches.flag("internal"),
        attachable: matches.flag("attachable"),
        ingress: matches.flag("ingress"),
        config_only: matches.flag("config-only"),
        config_from: matches
            .text("config-from")
            .map(|network| ConfigReference { network: network.to_owned() }),
        options: Some(pairs(matches.list("opt"))),
        labels: Some(pairs(matches.list("label"))),
    };
    let created: NetworkCreated = session.engine.post("/networks/create").json(&body)?.fetch().await?;
    if !created.warning.is_empty() {
        output::note(format!("WARNING: {}", created.warning));
    }
    output::println(created.id)?;
    Ok(Exit::OK)
}

/// Ranges, gateways and other addresses, each with the subnet that holds it.
fn pools(matches: &Matches) -> Result<Vec<IpamPool>, Failure> {
    let subnets: Vec<Subnet> = matches.list("subnet").iter().filter_map(|text| Subnet::parse(text)).collect();
    let mut pools: Vec<IpamPool> = matches
        .list("subnet")
        .iter()
        .map(|subnet| IpamPool { subnet: subnet.clone(), ..IpamPool::default() })
        .collect();
    let holder = |address: &str| subnets.iter().position(|subnet| subnet.holds(address));
    if pools.is_empty() && (!matches.list("gateway").is_empty() || !matches.list("ip-range").is_empty()) {
        return Err(Failure::new("every ip-range or gateway must have a corresponding subnet"));
    }
    for range in matches.list("ip-range") {
        let at =
            holder(range).ok_or_else(|| Failure::new(format!("no matching subnet for range {range}")))?;
        pools[at].ip_range.clone_from(range);
    }
    for gateway in matches.list("gateway") {
        let at = holder(gateway)
            .ok_or_else(|| Failure::new(format!("no matching subnet for gateway {gateway}")))?;
        pools[at].gateway.clone_from(gateway);
    }
    let auxiliary: BTreeMap<String, String> = pairs(matches.list("aux-address"));
    for (name, address) in auxiliary {
        let at = holder(&address)
            .ok_or_else(|| Failure::new(format!("no matching subnet for aux-address {address}")))?;
        pools[at].auxiliary_addresses.insert(name, address);
    }
    Ok(pools)
}

/// A prefix of address bits.
struct Subnet {
    address: u128,
    v6: bool,
    length: u32,
}

impl Subnet {
    /// A subnet that is none holds nothing: it is the engine's to refuse.
    fn parse(text: &str) -> Option<Self> {
        let (address, length) = text.split_once('/')?;
        let (address, v6) = bits(address)?;
        let length = length.parse().ok().filter(|length| *length <= if v6 { 128 } else { 32 })?;
        Some(Self { address, v6, length })
    }

    /// An address, or a range's first one.
    fn holds(&self, text: &str) -> bool {
        let address = text.split('/').next().unwrap_or_default();
        let Some((address, v6)) = bits(address) else { return false };
        let width = if v6 { 128 } else { 32 };
        v6 == self.v6 && (address ^ self.address).checked_shr(width - self.length).unwrap_or(0) == 0
    }
}

fn bits(text: &str) -> Option<(u128, bool)> {
    match text.parse().ok()? {
        std::net::IpAddr::V4(address) => Some((u128::from(address.to_bits()), false)),
        std::net::IpAddr::V6(address) => Some((address.to_bits(), true)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn subnets_hold_their_addresses() {
        let subnet = Subnet::parse("10.1.0.0/16").unwrap();
        assert!(subnet.holds("10.1.2.3") && subnet.holds("10.1.2.0/24"));
        assert!(!subnet.holds("10.2.0.1") && !subnet.holds("fd00::1"));
        assert!(Subnet::parse("fd00::/64").unwrap().holds("fd00::9"));
        assert!(Subnet::parse("0.0.0.0/0").unwrap().holds("9.9.9.9"));
        assert!(Subnet::parse("10.0.0.0").is_none() && Subnet::parse("10.0.0.0/33").is_none());
    }
}
