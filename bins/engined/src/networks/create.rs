//! Making a network that a person describes.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use engine_api::network::{Ipam, IpamPool, NetworkCreate, NetworkCreated};
use errdefs::{Error, Kind, Result};
use network::{BridgeConfig, IpNet, Ipv4Net, Ipv6Net, Medium, V6Config};

use super::known::{Known, PREDEFINED};
use super::{media, options, told, ula};
use crate::engine::Engine;
use crate::identity;
use crate::time::Time;

/// `POST /networks/create`.
///
/// # Errors
/// The name is taken or none, or a wish cannot be granted.
pub async fn create(engine: &Arc<Engine>, wish: NetworkCreate) -> Result<NetworkCreated> {
    let id = identity::new_id();
    if wish.config_only {
        return config_network(engine, wish, id);
    }
    let wish = with_defaults(engine, inherited(engine, wish)?)?;
    let mut config = config(engine, &wish, &id)?;
    let made = {
        let (engine, wish, id) = (engine.clone(), wish.clone(), id.clone());
        move || {
            // One at a time: two of one name must not both make a bridge.
            let _making = engine.networks.making.lock().expect("no panic while held");
            if engine.networks.table.get(&wish.name).is_some() {
                return Err(Error::already_exists(format!("network with name {} already exists", wish.name)));
            }
            if wish.enable_ipv6 == Some(true) && config.v6.is_none() {
                let subnet = ula::free(&engine.config, &subnets_v6(&engine));
                config.v6 = Some(V6Config::new(subnet.ok_or_else(no_pool)?));
            }
            refuse_overlap(&engine, &config)?;
            let bridge = engine.networks.stack.add_bridge(config.clone()).map_err(told)?;
            let config = BridgeConfig { subnet: bridge.subnet, gateway: bridge.gateway, ..config };
            let name = wish.name.clone();
            let known = Known { id, created: Time::now(), wish: Some(wish), bridge: Some(config) };
            engine.networks.table.add(&name, known).inspect_err(|_| {
                let _ = engine.networks.stack.remove_bridge(&bridge.name);
            })
        }
    };
    tokio::task::spawn_blocking(made)
        .await
        .map_err(|cause| Error::internal("cannot make a network").with_source(cause))??;
    super::tell(engine, &wish.name, "create", None);
    Ok(NetworkCreated { id, warning: String::new() })
}

fn no_pool() -> Error {
    Error::new(
        Kind::ResourceExhausted,
        "could not find an available, non-overlapping IPv6 address pool among the defaults to assign to the network",
    )
}

/// IPv6 subnets that networks have.
fn subnets_v6(engine: &Engine) -> Vec<Ipv6Net> {
    let default = engine.networks.default_bridge().and_then(|bridge| bridge.v6);
    let others = engine.networks.table.all().into_values().filter_map(|known| known.bridge?.v6);
    others.chain(default).map(|v6| v6.subnet).collect()
}

fn refuse_overlap(engine: &Engine, config: &BridgeConfig) -> Result<()> {
    let default = engine.networks.default_bridge().and_then(|bridge| bridge.subnet);
    let known: Vec<BridgeConfig> =
        engine.networks.table.all().into_values().filter_map(|known| known.bridge).collect();
    if known.iter().any(|other| other.name == config.name) {
        return Err(Error::permission_denied(format!(
            "networks have same bridge name: {} is taken",
            config.name
        )));
    }
    let others = known.iter().filter_map(|other| other.subnet).chain(default);
    let overlaps = |other: Ipv4Net, subnet: Ipv4Net| {
        other.contains(&subnet.network()) || subnet.contains(&other.network())
    };
    let overlaps_v6 = |other: Ipv6Net, subnet: Ipv6Net| {
        other.contains(&subnet.network()) || subnet.contains(&other.network())
    };
    let is_taken =
        config.subnet.is_some_and(|subnet| others.into_iter().any(|other| overlaps(other, subnet)));
    let is_taken_v6 = config
        .v6
        .as_ref()
        .is_some_and(|v6| subnets_v6(engine).into_iter().any(|other| overlaps_v6(other, v6.subnet)));
    if is_taken || is_taken_v6 {
        return Err(Error::permission_denied(
            "invalid pool request: Pool overlaps with other one on this address space",
        ));
    }
    Ok(())
}

/// A network that others are made by (`--config-only`).
fn config_network(engine: &Engine, wish: NetworkCreate, id: String) -> Result<NetworkCreated> {
    if !config_from(&wish).is_empty() {
        return Err(Error::permission_denied(
            "a network cannot both be a configuration network and depend on one",
        ));
    }
    refuse(&wish)?;
    let _making = engine.networks.making.lock().expect("no panic while held");
    let name = wish.name.clone();
    let known = Known { id: id.clone(), created: Time::now(), wish: Some(wish), bridge: None };
    engine.networks.table.add(&name, known)?;
    super::tell(engine, &name, "create", None);
    Ok(NetworkCreated { id, warning: String::new() })
}

/// The configuration network that a wish depends on; empty for none.
pub fn config_from(wish: &NetworkCreate) -> &str {
    wish.config_from.as_ref().map_or("", |from| from.network.as_str())
}

/// The wish with what the configuration network says that it depends on.
fn inherited(engine: &Engine, mut wish: NetworkCreate) -> Result<NetworkCreate> {
    let from = config_from(&wish);
    if from.is_empty() {
        return Ok(wish);
    }
    let found = engine.networks.table.get(from).filter(Known::is_config_only);
    let config = found
        .and_then(|known| known.wish)
        .ok_or_else(|| Error::not_found(format!("configuration network {from:?} does not exist")))?;
    let has_own_pools = wish
        .ipam
        .iter()
        .flat_map(|ipam| ipam.config.iter().flatten())
        .any(|pool| *pool != IpamPool::default());
    let has_own_options = wish.options.as_ref().is_some_and(|options| !options.is_empty());
    if has_own_pools || has_own_options || wish.enable_ipv6 == Some(true) {
        return Err(Error::permission_denied(
            "user specified configurations are not supported if the network depends on a configuration network",
        ));
    }
    wish.ipam = config.ipam;
    wish.options = config.options;
    wish.enable_ipv4 = config.enable_ipv4;
    wish.enable_ipv6 = config.enable_ipv6;
    let mut labels = config.labels.unwrap_or_default();
    labels.extend(wish.labels.take().unwrap_or_default());
    wish.labels = Some(labels);
    Ok(wish)
}

fn driver(wish: &NetworkCreate) -> &str {
    if matches!(wish.driver.as_str(), "" | "default") { "bridge" } else { wish.driver.as_str() }
}

/// The wish with what the engine's flags say of every network of its driver, as inspect shows it.
fn with_defaults(engine: &Engine, mut wish: NetworkCreate) -> Result<NetworkCreate> {
    let flags = &engine.config.flags.net;
    let mut all: BTreeMap<String, String> = flags.default_options(driver(&wish)).into_iter().collect();
    // What a network says for itself leaves no trace of the default.
    if wish.enable_ipv4.is_some() {
        all.remove(options::ENABLE_V4);
    }
    if wish.enable_ipv6.is_some() {
        all.remove(options::ENABLE_V6);
    }
    all.extend(wish.options.take().unwrap_or_default());
    for (option, asked) in
        [(options::ENABLE_V4, &mut wish.enable_ipv4), (options::ENABLE_V6, &mut wish.enable_ipv6)]
    {
        if let (None, Some(value)) = (&asked, all.get(option)) {
            *asked = Some(options::truth(option, value)?);
        }
    }
    wish.options = Some(all);
    Ok(wish)
}

fn config(engine: &Engine, wish: &NetworkCreate, id: &str) -> Result<BridgeConfig> {
    let driver = driver(wish);
    let options = wish.options.clone().unwrap_or_default();
    let mut config = plain_config(wish, id, driver, &options)?;
    options::of_engine(&engine.config, &mut config);
    if driver == "bridge" {
        options::of_network(&options, &mut config)?;
    }
    Ok(config)
}

fn plain_config(
    wish: &NetworkCreate,
    id: &str,
    driver: &str,
    options: &BTreeMap<String, String>,
) -> Result<BridgeConfig> {
    refuse(wish)?;
    let medium = media::medium(driver, options)?;
    let prefix = if medium.is_some() { "dm" } else { "br" };
    let mut config = BridgeConfig::new(&format!("{prefix}-{}", identity::short(id)));
    config.internal = wish.internal;
    config.v4 = wish.enable_ipv4 != Some(false);
    if !config.v4 && wish.enable_ipv6 != Some(true) {
        return Err(Error::invalid_argument("IPv4 or IPv6 must be enabled"));
    }
    if let Some((medium, mtu)) = medium {
        config.medium = medium;
        config.mtu = mtu.unwrap_or(config.mtu);
    }
    if let Some(ipam) = &wish.ipam {
        addresses(ipam, &mut config, wish.enable_ipv6)?;
    }
    Ok(config)
}

/// Everything that cannot be granted, by name.
fn refuse(wish: &NetworkCreate) -> Result<()> {
    let name = wish.name.as_str();
    if PREDEFINED.contains(&name) || name == "default" {
        return Err(Error::permission_denied(format!(
            "operation is not permitted on predefined {name} network"
        )));
    }
    if name.trim().is_empty() {
        return Err(Error::invalid_argument("invalid name: name is empty"));
    }
    match wish.driver.as_str() {
        "" | "default" | "bridge" | "macvlan" | "ipvlan" => {}
        "host" | "null" => {
            return Err(Error::permission_denied(format!(
                "only one instance of \"{}\" network is allowed",
                wish.driver
            )));
        }
        "overlay" => {
            return Err(Error::permission_denied(
                "This node is not a swarm manager. Use \"docker swarm init\" or \"docker swarm join\" to connect this node to swarm and try again.",
            ));
        }
        other => {
            return Err(Error::not_found(format!("plugin \"{other}\" not found")));
        }
    }
    if wish.scope == "swarm" {
        return Err(Error::invalid_argument("cannot create a swarm scoped network when swarm is not active"));
    }
    if wish.ingress {
        return Err(Error::permission_denied("Ingress network can only be global scope network"));
    }
    match wish.scope.as_str() {
        "" | "local" => Ok(()),
        other => Err(Error::unimplemented(format!("scope {other:?} of a network is not implemented"))),
    }
}

/// Subnet, gateway, range and reserved addresses, of either family.
fn addresses(ipam: &Ipam, config: &mut BridgeConfig, enable_ipv6: Option<bool>) -> Result<()> {
    if !matches!(ipam.driver.as_str(), "" | "default") {
        return Err(Error::not_found(format!("plugin \"{}\" not found", ipam.driver)));
    }
    if ipam.options.as_ref().is_some_and(|options: &BTreeMap<_, _>| !options.is_empty()) {
        return Err(Error::unimplemented("IPAM options are not implemented"));
    }
    for pool in ipam.config.iter().flatten() {
        let has_more =
            !(pool.ip_range.is_empty() && pool.gateway.is_empty() && pool.auxiliary_addresses.is_empty());
        if pool.subnet.is_empty() {
            if has_more {
                return Err(invalid("a gateway or range needs a subnet"));
            }
            continue;
        }
        let typed: IpNet = pool
            .subnet
            .parse()
            .map_err(|_| invalid(&format!("invalid subnet {}: invalid CIDR block notation", pool.subnet)))?;
        if typed != typed.trunc() {
            return Err(invalid(&format!("invalid subnet {typed}: it should be {}", typed.trunc())));
        }
        match typed {
            IpNet::V4(_) if config.subnet.is_some() => return Err(several(config, "IPv4")),
            IpNet::V6(_) if config.v6.is_some() => return Err(several(config, "IPv6")),
            IpNet::V4(_) if !config.v4 => {
                return Err(invalid(&format!(
                    "invalid subnet {typed}: IPv4 has not been enabled for this network"
                )));
            }
            IpNet::V6(_) if enable_ipv6 != Some(true) => {
                return Err(invalid(&format!(
                    "invalid subnet {typed}: IPv6 has not been enabled for this network"
                )));
            }
            IpNet::V4(subnet) => v4(pool, subnet, config)?,
            IpNet::V6(subnet) => config.v6 = Some(v6(pool, subnet)?),
        }
    }
    Ok(())
}

/// A bridge has one address of a family, in Docker too.
fn several(config: &BridgeConfig, family: &str) -> Error {
    match config.medium {
        Medium::Bridge => {
            Error::permission_denied(format!("bridge driver doesn't support multiple {family} subnets"))
        }
        _ => Error::unimplemented(format!("a network with several {family} subnets is not implemented")),
    }
}

fn invalid(text: &str) -> Error {
    Error::invalid_argument(format!("invalid network config: {text}"))
}

fn address<T: std::str::FromStr>(text: &str) -> Result<T> {
    text.parse().map_err(|_| invalid(&format!("invalid address {text:?} of a network")))
}

fn range<T: std::str::FromStr>(text: &str) -> Result<Option<T>> {
    if text.is_empty() {
        return Ok(None);
    }
    let bad = |_| invalid(&format!("invalid ip-range {text}: invalid CIDR block notation"));
    text.parse().map(Some).map_err(bad)
}

fn v4(pool: &IpamPool, subnet: Ipv4Net, config: &mut BridgeConfig) -> Result<()> {
    config.subnet = Some(subnet);
    config.range = range(&pool.ip_range)?;
    if config.range.is_some_and(|range| !subnet.contains(&range)) {
        return Err(invalid(&format!("invalid ip-range {}: it is not in subnet {subnet}", pool.ip_range)));
    }
    if !pool.gateway.is_empty() {
        config.gateway = Some(address(&pool.gateway)?);
    }
    for text in pool.auxiliary_addresses.values() {
        let reserved: IpAddr = address(text)?;
        match reserved {
            IpAddr::V4(reserved) if subnet.contains(&reserved) => config.reserved.push(reserved),
            _ => return Err(invalid(&format!("auxiliary address {reserved} is not in subnet {subnet}"))),
        }
    }
    Ok(())
}

fn v6(pool: &IpamPool, subnet: Ipv6Net) -> Result<V6Config> {
    let mut config = V6Config::new(subnet);
    config.range = range(&pool.ip_range)?;
    if !pool.gateway.is_empty() {
        config.gateway = address(&pool.gateway)?;
    }
    for text in pool.auxiliary_addresses.values() {
        config.reserved.push(address(text)?);
    }
    config.check().map_err(told)?;
    Ok(config)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(wish: &NetworkCreate, id: &str) -> Result<BridgeConfig> {
        plain_config(wish, id, "bridge", &BTreeMap::new())
    }

    fn wish(subnet: &str, gateway: &str) -> NetworkCreate {
        let pool = IpamPool { subnet: subnet.into(), gateway: gateway.into(), ..IpamPool::default() };
        NetworkCreate {
            name: "crew".into(),
            ipam: Some(Ipam { config: Some(vec![pool]), ..Ipam::default() }),
            ..NetworkCreate::default()
        }
    }

    #[test]
    fn wishes_become_bridges() {
        let made = config(&wish("10.9.0.0/24", "10.9.0.7"), "0123456789abcdef").unwrap();
        assert_eq!(made.name, "br-0123456789ab");
        assert_eq!(made.subnet.unwrap().to_string(), "10.9.0.0/24");
        assert_eq!(made.gateway.unwrap().to_string(), "10.9.0.7");
    }

    #[test]
    fn what_cannot_be_granted_is_named() {
        let kind = |wish: NetworkCreate| config(&wish, "0123456789abcdef").unwrap_err().kind();
        assert_eq!(kind(wish("10.9.0.1/24", "")), Kind::InvalidArgument);
        assert_eq!(kind(wish("", "10.9.0.7")), Kind::InvalidArgument);
        assert_eq!(kind(wish("fd00::/64", "")), Kind::InvalidArgument, "IPv6 is not enabled");
        assert_eq!(kind(wish("1.2.3.4/99", "")), Kind::InvalidArgument);
        assert_eq!(
            kind(NetworkCreate { name: "host".into(), ..NetworkCreate::default() }),
            Kind::PermissionDenied
        );
        assert_eq!(
            kind(NetworkCreate { enable_ipv4: Some(false), name: "xx".into(), ..NetworkCreate::default() }),
            Kind::InvalidArgument,
            "no family is left"
        );
        assert_eq!(
            kind(NetworkCreate {
                enable_ipv4: Some(false),
                enable_ipv6: Some(true),
                ..wish("10.9.0.0/24", "")
            }),
            Kind::InvalidArgument
        );
    }

    #[test]
    fn both_families_have_subnets() {
        let mut both = wish("10.9.0.0/24", "");
        both.enable_ipv6 = Some(true);
        let pool =
            IpamPool { subnet: "fd00:9::/64".into(), gateway: "fd00:9::9".into(), ..IpamPool::default() };
        both.ipam.as_mut().unwrap().config.as_mut().unwrap().push(pool);
        let v6 = config(&both, "0123456789abcdef").unwrap().v6.unwrap();
        assert_eq!(
            (v6.subnet.to_string(), v6.gateway.to_string()),
            ("fd00:9::/64".into(), "fd00:9::9".into())
        );
    }
}
