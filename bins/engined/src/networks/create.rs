//! Making a network that a person describes.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::sync::Arc;

use engine_api::network::{Ipam, NetworkCreate, NetworkCreated};
use errdefs::{Error, Result};
use network::{BridgeConfig, Ipv4Net};

use super::known::{Known, PREDEFINED};
use super::told;
use crate::engine::Engine;
use crate::identity;
use crate::time::Time;

/// Options of the bridge driver.
const NAME: &str = "com.docker.network.bridge.name";
const ICC: &str = "com.docker.network.bridge.enable_icc";
const MASQUERADE: &str = "com.docker.network.bridge.enable_ip_masquerade";
const MTU: &str = "com.docker.network.driver.mtu";
/// Host address of ports published by containers on the network.
pub const HOST_BINDING: &str = "com.docker.network.bridge.host_binding_ipv4";

/// `POST /networks/create`.
///
/// # Errors
/// The name is taken or none, or a wish cannot be granted.
pub async fn create(engine: &Arc<Engine>, wish: NetworkCreate) -> Result<NetworkCreated> {
    let id = identity::new_id();
    let config = config(&wish, &id)?;
    let made = {
        let (engine, wish, id) = (engine.clone(), wish.clone(), id.clone());
        move || {
            // One at a time: two of one name must not both make a bridge.
            let _making = engine.networks.making.lock().expect("no panic while held");
            if engine.networks.table.get(&wish.name).is_some() {
                return Err(Error::already_exists(format!("network with name {} already exists", wish.name)));
            }
            refuse_overlap(&engine, &config)?;
            let bridge = engine.networks.stack.add_bridge(config.clone()).map_err(told)?;
            let config =
                BridgeConfig { subnet: Some(bridge.subnet), gateway: Some(bridge.gateway), ..config };
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

fn refuse_overlap(engine: &Engine, config: &BridgeConfig) -> Result<()> {
    let Some(subnet) = config.subnet else { return Ok(()) };
    let default = engine.networks.default_bridge().map(|bridge| bridge.subnet);
    let others = engine.networks.table.all().into_values().filter_map(|known| known.bridge?.subnet);
    let overlaps = |other: &Ipv4Net| other.contains(&subnet.network()) || subnet.contains(&other.network());
    match others.chain(default).find(overlaps) {
        Some(_) => Err(Error::permission_denied(
            "invalid pool request: Pool overlaps with other one on this address space",
        )),
        None => Ok(()),
    }
}

fn config(wish: &NetworkCreate, id: &str) -> Result<BridgeConfig> {
    refuse(wish)?;
    let mut config = BridgeConfig::new(&format!("br-{}", identity::short(id)));
    config.internal = wish.internal;
    if let Some(ipam) = &wish.ipam {
        addresses(ipam, &mut config)?;
    }
    for (key, value) in wish.options.iter().flatten() {
        let bad = || Error::invalid_argument(format!("invalid value of {key}: {value:?}"));
        let truth = || match value.as_str() {
            "true" | "1" => Ok(true),
            "false" | "0" => Ok(false),
            _ => Err(bad()),
        };
        match key.as_str() {
            NAME => config.name.clone_from(value),
            ICC => config.icc = truth()?,
            MASQUERADE => config.masquerade = truth()?,
            MTU => config.mtu = value.parse().map_err(|_| bad())?,
            HOST_BINDING => drop(value.parse::<Ipv4Addr>().map_err(|_| bad())?),
            _ => return Err(Error::unimplemented(format!("network option {key} is not implemented"))),
        }
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
    if !identity::is_name(name) {
        return Err(Error::invalid_argument(format!(
            "invalid network name {name:?}: only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed"
        )));
    }
    match wish.driver.as_str() {
        "" | "default" | "bridge" => {}
        "host" | "null" => {
            return Err(Error::permission_denied(format!(
                "only one instance of \"{}\" network is allowed",
                wish.driver
            )));
        }
        "macvlan" | "ipvlan" | "overlay" => {
            return Err(Error::unimplemented(format!("network driver {} is not implemented", wish.driver)));
        }
        other => {
            return Err(Error::not_found(format!(
                "could not find plugin {other} in v1 plugin registry: plugin \"{other}\" not found"
            )));
        }
    }
    let refused = [
        (wish.enable_ipv6 == Some(true), "EnableIPv6"),
        (wish.enable_ipv4 == Some(false), "EnableIPv4=false"),
        (wish.ingress, "Ingress"),
        (wish.config_only, "ConfigOnly"),
        (wish.config_from.as_ref().is_some_and(|from| !from.network.is_empty()), "ConfigFrom"),
        (!matches!(wish.scope.as_str(), "" | "local"), "Scope"),
    ];
    match refused.iter().find(|(is_asked, _)| *is_asked) {
        Some((_, field)) => Err(Error::unimplemented(format!("{field} of a network is not implemented"))),
        None => Ok(()),
    }
}

/// Subnet, gateway, range and reserved addresses.
fn addresses(ipam: &Ipam, config: &mut BridgeConfig) -> Result<()> {
    if !matches!(ipam.driver.as_str(), "" | "default") {
        return Err(Error::not_found(format!("IPAM driver {} not found", ipam.driver)));
    }
    if ipam.options.as_ref().is_some_and(|options: &BTreeMap<_, _>| !options.is_empty()) {
        return Err(Error::unimplemented("IPAM options are not implemented"));
    }
    let pool = match ipam.config.as_deref().unwrap_or_default() {
        [] => return Ok(()),
        [pool] => pool,
        _ => return Err(Error::unimplemented("a network with several subnets is not implemented")),
    };
    let net = |text: &str| -> Result<Option<Ipv4Net>> {
        if text.is_empty() {
            return Ok(None);
        }
        match text.parse::<Ipv4Net>() {
            Ok(net) => Ok(Some(net)),
            Err(_) if text.contains(':') => {
                Err(Error::unimplemented("IPv6 subnets of networks are not implemented"))
            }
            Err(_) => {
                Err(Error::invalid_argument(format!("invalid subnet {text}: invalid CIDR block notation")))
            }
        }
    };
    let address = |text: &str| {
        text.parse::<Ipv4Addr>()
            .map_err(|_| Error::invalid_argument(format!("invalid address {text:?} of a network")))
    };
    config.subnet = net(&pool.subnet)?;
    if let Some(subnet) = config.subnet.filter(|subnet| *subnet != subnet.trunc()) {
        return Err(Error::invalid_argument(format!(
            "invalid network config: invalid subnet {subnet}: it should be {}",
            subnet.trunc()
        )));
    }
    config.range = net(&pool.ip_range)?;
    if !pool.gateway.is_empty() {
        config.gateway = Some(address(&pool.gateway)?);
    }
    for text in pool.auxiliary_addresses.values() {
        config.reserved.push(address(text)?);
    }
    let is_alone = config.range.is_some() || config.gateway.is_some() || !config.reserved.is_empty();
    match config.subnet {
        None if is_alone => {
            Err(Error::invalid_argument("invalid network config: a gateway or range needs a subnet"))
        }
        Some(subnet) => match config.reserved.iter().find(|address| !subnet.contains(*address)) {
            Some(address) => Err(Error::invalid_argument(format!(
                "invalid network config: auxiliary address {address} is not in subnet {subnet}"
            ))),
            None => Ok(()),
        },
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use engine_api::network::IpamPool;

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
        use errdefs::Kind;
        assert_eq!(kind(wish("10.9.0.1/24", "")), Kind::InvalidArgument);
        assert_eq!(kind(wish("", "10.9.0.7")), Kind::InvalidArgument);
        assert_eq!(kind(wish("fd00::/64", "")), Kind::Unimplemented);
        assert_eq!(
            kind(NetworkCreate { name: "host".into(), ..NetworkCreate::default() }),
            Kind::PermissionDenied
        );
        assert_eq!(
            kind(NetworkCreate { enable_ipv6: Some(true), name: "xx".into(), ..NetworkCreate::default() }),
            Kind::Unimplemented
        );
    }
}
